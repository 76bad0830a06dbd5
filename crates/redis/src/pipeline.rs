//! Several commands, one round trip.

use crate::command::{Command, Effect};
use crate::script::Call;

/// Commands that are sent together and answered together, in order. Not a transaction: others' commands may run between
/// them, and each succeeds or fails by itself. What must be all or nothing is a [`Script`](crate::Script).
#[derive(Debug, Clone, Default)]
pub struct Pipeline {
    steps: Vec<Step>,
}

#[derive(Debug, Clone)]
struct Step {
    command: Command,
    /// Of a script: what to send if the server does not know it by its hash.
    by_source: Option<Command>,
}

impl Pipeline {
    /// An empty one.
    pub fn new() -> Self {
        Self::default()
    }

    /// With one more command.
    #[must_use]
    pub fn call(mut self, command: Command) -> Self {
        self.steps.push(Step { command, by_source: None });
        self
    }

    /// With one more script. If the server does not know it yet, it runs in a second round trip, behind all others.
    #[must_use]
    pub fn run(mut self, call: Call<'_>) -> Self {
        self.steps.push(Step { command: call.by_hash(), by_source: Some(call.by_source()) });
        self
    }

    /// How many commands.
    pub fn len(&self) -> usize {
        self.steps.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }

    pub(crate) fn commands(&self) -> impl Iterator<Item = &Command> {
        self.steps.iter().map(|step| &step.command)
    }

    pub(crate) fn by_source(&self, index: usize) -> Option<&Command> {
        self.steps.get(index)?.by_source.as_ref()
    }
}

/// What all of them together leave open if the answer is lost.
pub(crate) fn effect<'a>(commands: impl IntoIterator<Item = &'a Command>) -> Effect {
    commands.into_iter().fold(Effect::Reads, |effect, command| effect.and(command.effect))
}
