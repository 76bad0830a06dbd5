//! The application's own commands: what its binary does beside serving.

use std::panic::Location;

use burgeon_core::Ctx;

use crate::parts::{CommandFn, Need, Parts, Running};

/// A verb of the application's binary.
///
/// ```
/// use burgeon::{Command, Ctx, Result, command};
///
/// #[derive(clap::Args)]
/// struct Import {
///     /// The file to read.
///     file: std::path::PathBuf,
/// }
///
/// async fn import(args: Import, _ctx: Ctx) -> Result<()> {
///     println!("reading {}", args.file.display());
///     Ok(())
/// }
///
/// fn verb() -> Command {
///     command("import", "Reads products from a file.", import)
/// }
/// ```
pub struct Command {
    pub(crate) name: &'static str,
    pub(crate) place: &'static Location<'static>,
    pub(crate) clap: clap::Command,
    pub(crate) needs: Vec<Need>,
    pub(crate) run: Box<RunFn>,
}

type RunFn = dyn FnOnce(&clap::ArgMatches, Ctx, &Parts) -> Result<Running, clap::Error> + Send;

/// A command: its name, a sentence for `--help`, and `async fn(Args, Ctx, Db, ..) -> Result<()>`.
///
/// `Args` derives `clap::Args`, or is `()`. Before the command runs the database is opened and migrated, and the modules
/// are built, so it may ask for whatever a module may, the modules' APIs included.
#[track_caller]
pub fn command<Args, A, F>(name: &'static str, about: &'static str, function: F) -> Command
where
    Args: clap::Args + Send + 'static,
    F: CommandFn<Args, A>,
{
    // Afterwards, because the doc comment of `Args` is for whoever reads the code, and would stand in the help instead.
    let clap = Args::augment_args(clap::Command::new(name)).about(about).long_about(None);
    let run = move |matches: &clap::ArgMatches, ctx: Ctx, parts: &Parts| {
        Ok(function.run(Args::from_arg_matches(matches)?, ctx, parts))
    };
    Command { name, place: Location::caller(), clap, needs: F::needs(), run: Box::new(run) }
}

impl Command {
    /// Adds what `--help` says below the options: examples.
    #[must_use]
    pub fn with_examples(mut self, examples: &'static str) -> Self {
        self.clap = self.clap.after_help(examples);
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the code says of the arguments.
    ///
    /// At length.
    #[derive(clap::Args)]
    struct Args {
        /// The file to read.
        file: String,
    }

    async fn import(args: Args, _ctx: Ctx) -> burgeon_core::Result<()> {
        drop(args.file);
        Ok(())
    }

    #[test]
    fn the_help_is_the_sentence_that_was_given_and_not_a_comment() {
        let mut verb =
            command("import", "Reads products.", import).with_examples("Example:\n  app import a.csv").clap;
        for help in [verb.render_help().to_string(), verb.render_long_help().to_string()] {
            assert!(help.starts_with("Reads products."), "{help}");
            assert!(help.contains("The file to read") && help.ends_with("app import a.csv\n"), "{help}");
        }
    }
}
