//! The dependency graph, as much of it as the rules look at.

use std::path::Path;

use cargo_metadata::{CargoOpt, DependencyKind, MetadataCommand};

/// Every package that a build with all features could use, ours and others'.
#[derive(Debug, Default)]
pub(crate) struct Graph {
    pub(crate) packages: Vec<Package>,
}

#[derive(Debug, Clone)]
pub(crate) struct Package {
    pub(crate) name: String,
    pub(crate) version: String,
    /// SPDX expression, as the package states it.
    pub(crate) licence: Option<String>,
    /// Whether it is a member of this workspace.
    pub(crate) ours: bool,
    /// What it names in its manifest; only filled for ours.
    pub(crate) names: Vec<Named>,
}

#[derive(Debug, Clone)]
pub(crate) struct Named {
    pub(crate) name: String,
    pub(crate) dev: bool,
}

impl Graph {
    /// Reads the workspace at `root`.
    pub(crate) fn read(root: &Path) -> Result<Graph, String> {
        let metadata = MetadataCommand::new()
            .manifest_path(root.join("Cargo.toml"))
            .features(CargoOpt::AllFeatures)
            .exec()
            .map_err(|error| format!("reading the dependency graph: {error}"))?;
        let members = metadata.workspace_members;
        let packages = metadata.packages.into_iter().map(|package| {
            let ours = members.contains(&package.id);
            let names = package.dependencies.iter().filter(|_| ours).map(|dependency| Named {
                name: dependency.name.clone(),
                dev: dependency.kind == DependencyKind::Development,
            });
            Package {
                name: package.name.to_string(),
                version: package.version.to_string(),
                licence: package.license.clone(),
                ours,
                names: names.collect(),
            }
        });
        Ok(Graph { packages: packages.collect() })
    }

    /// The members of this workspace.
    pub(crate) fn ours(&self) -> impl Iterator<Item = &Package> {
        self.packages.iter().filter(|package| package.ours)
    }

    /// The member of this name.
    pub(crate) fn find(&self, name: &str) -> Option<&Package> {
        self.ours().find(|package| package.name == name)
    }
}
