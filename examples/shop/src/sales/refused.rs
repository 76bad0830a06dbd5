//! The list of refused lines, beside the file they came from: number, reason, and the line itself, so that they can be
//! mended and imported.

use std::fs::File;
use std::path::{Path, PathBuf};

use burgeon::prelude::*;

use super::line::Refusal;

/// Written when the first line is refused, and not before.
pub(super) struct Refused {
    path: PathBuf,
    file: Option<csv::Writer<File>>,
    count: u64,
}

impl Refused {
    /// A list at `path`, or else at the export's own path with `.refused.csv` behind it.
    pub(super) fn beside(export: &Path, path: Option<PathBuf>) -> Self {
        let path = path.unwrap_or_else(|| {
            let mut name = export.as_os_str().to_owned();
            name.push(".refused.csv");
            name.into()
        });
        Self { path, file: None, count: 0 }
    }

    /// Writes one down.
    pub(super) fn add(&mut self, number: u64, why: &Refusal, text: &str) -> Result<()> {
        let failed = |error: csv::Error| {
            let sentence =
                format!("The refused lines cannot be written to {}: {error}.", self.path.display());
            Error::invalid(format!("{sentence} Name another place with --refused.")).with_source(error)
        };
        let file = match &mut self.file {
            Some(file) => file,
            None => {
                let mut file = csv::Writer::from_path(&self.path).map_err(failed)?;
                file.write_record(["line", "reason", "text"]).map_err(failed)?;
                self.file.insert(file)
            }
        };
        file.write_record([&number.to_string(), &why.to_string(), text]).map_err(failed)?;
        self.count += 1;
        Ok(())
    }

    /// How many, and where they stand if there are any.
    pub(super) fn finish(mut self) -> Result<(u64, Option<PathBuf>)> {
        let Some(file) = &mut self.file else { return Ok((0, None)) };
        file.flush().map_err(|error| {
            Error::invalid(format!(
                "The refused lines cannot be written to {}: {error}.",
                self.path.display()
            ))
        })?;
        Ok((self.count, Some(self.path)))
    }
}
