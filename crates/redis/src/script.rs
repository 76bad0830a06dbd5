//! Lua that the server runs, all or nothing and nobody in between.

use std::borrow::Cow;

use crate::command::{Command, Effect};

/// A script, known to the server by the hash of its text once it has run it.
///
/// Give every key that it touches as a key, and keep it short: the server does nothing else meanwhile.
#[derive(Debug, Clone)]
pub struct Script {
    source: Cow<'static, str>,
    hash: String,
    effect: Effect,
}

/// A script with its keys and arguments. Made by [`Script::call`].
#[derive(Debug, Clone)]
pub struct Call<'a> {
    script: &'a Script,
    keys: Vec<Vec<u8>>,
    arguments: Vec<Vec<u8>>,
}

impl Script {
    /// A script that changes something.
    pub fn new(source: impl Into<Cow<'static, str>>) -> Self {
        let source = source.into();
        let hash = redis::Script::new(&source).get_hash().to_owned();
        Self { source, hash, effect: Effect::Writes }
    }

    /// The same, promising that it changes nothing: its lost answer leaves nothing open.
    #[must_use]
    pub fn reads(self) -> Self {
        Self { effect: Effect::Reads, ..self }
    }

    /// A call of it, without keys and arguments yet.
    pub fn call(&self) -> Call<'_> {
        Call { script: self, keys: Vec::new(), arguments: Vec::new() }
    }
}

impl Call<'_> {
    /// With one more key: `KEYS[1]` is the first.
    #[must_use]
    pub fn key(mut self, key: impl AsRef<[u8]>) -> Self {
        self.keys.push(key.as_ref().to_vec());
        self
    }

    /// With one more argument, any bytes: `ARGV[1]` is the first.
    #[must_use]
    pub fn arg(mut self, argument: impl AsRef<[u8]>) -> Self {
        self.arguments.push(argument.as_ref().to_vec());
        self
    }

    /// With one more argument, a number.
    #[must_use]
    pub fn number(self, number: i64) -> Self {
        self.arg(number.to_string())
    }

    /// By its hash, as the server knows it.
    pub(crate) fn by_hash(&self) -> Command {
        self.command("EVALSHA", &self.script.hash)
    }

    /// By its text, which the server then knows by its hash.
    pub(crate) fn by_source(&self) -> Command {
        self.command("EVAL", &self.script.source)
    }

    fn command(&self, name: &str, script: &str) -> Command {
        let command = match self.script.effect {
            Effect::Reads => Command::read(name),
            Effect::Writes => Command::write(name),
        };
        let command = command.arg(script).number(self.keys.len() as i64);
        self.keys.iter().chain(&self.arguments).fold(command, Command::arg)
    }
}
