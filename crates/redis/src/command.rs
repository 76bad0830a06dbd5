//! One command.

use std::io::Write as _;

use redis::RedisWrite as _;

/// A command and its arguments. Whether it changes something is said by its maker, because it decides what a lost answer
/// means.
#[derive(Clone)]
pub struct Command {
    pub(crate) inner: redis::Cmd,
    pub(crate) effect: Effect,
}

/// What a lost answer leaves open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Effect {
    /// Nothing.
    Reads,
    /// Whether it was done.
    Writes,
}

impl Command {
    /// A command that changes nothing: `Command::read("GET")`. A name of two words is two arguments.
    pub fn read(name: &str) -> Self {
        Self { inner: redis::cmd(name), effect: Effect::Reads }
    }

    /// A command that changes something: `Command::write("SET")`. If its answer is lost, the outcome is not known.
    pub fn write(name: &str) -> Self {
        Self { inner: redis::cmd(name), effect: Effect::Writes }
    }

    /// With one more argument: any bytes, text among them.
    #[must_use]
    pub fn arg(mut self, argument: impl AsRef<[u8]>) -> Self {
        self.inner.arg(argument.as_ref());
        self
    }

    /// With more arguments, each of which is told in parts that are put together.
    #[must_use]
    pub fn args<'a, const PARTS: usize>(
        mut self,
        arguments: impl IntoIterator<Item = [&'a [u8]; PARTS]>,
    ) -> Self {
        for parts in arguments {
            let mut writer = self.inner.writer_for_next_arg();
            // It is memory, which takes whatever it is given.
            parts.iter().for_each(|part| drop(writer.write_all(part)));
        }
        self
    }

    /// With one more argument: a number.
    #[must_use]
    pub fn number(mut self, number: i64) -> Self {
        self.inner.arg(number);
        self
    }
}

impl Effect {
    /// That of both together.
    pub(crate) fn and(self, other: Effect) -> Effect {
        match (self, other) {
            (Effect::Reads, Effect::Reads) => Effect::Reads,
            _ => Effect::Writes,
        }
    }
}

/// Without its arguments, which may be anybody's secrets.
impl std::fmt::Debug for Command {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Command").field("effect", &self.effect).finish_non_exhaustive()
    }
}
