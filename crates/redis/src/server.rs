//! Which server answers, from what it says of itself.

/// A server that answered, as it was then.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Server {
    /// Drawn at each start of the process.
    pub run_id: String,
    /// Of the history of its data: another one after a promotion.
    pub replication_id: String,
    /// `7.0.15`.
    pub version: String,
    pub(crate) is_primary: bool,
}

impl Server {
    /// Reads `INFO server` and `INFO replication`, one behind the other. None when what is needed is not in it.
    pub(crate) fn read(info: &str) -> Option<Self> {
        let field = |name: &str| {
            info.lines()
                .find_map(|line| line.trim_end().strip_prefix(name)?.strip_prefix(':'))
                .map(str::to_owned)
        };
        Some(Self {
            run_id: field("run_id")?,
            replication_id: field("master_replid")?,
            version: field("redis_version")?,
            is_primary: field("role")? == "master",
        })
    }

    /// Start and history as a number that is the same in every process and for ever: FNV-1a (Fowler, Noll, Vo, 1991).
    pub(crate) fn number(&self) -> u64 {
        let bytes = self.run_id.bytes().chain([b' ']).chain(self.replication_id.bytes());
        bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3))
    }

    /// Whether what that one knew, this one knows.
    pub(crate) fn continues(&self, before: &Server) -> bool {
        self.run_id == before.run_id && self.replication_id == before.replication_id
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_known_by_its_start_and_its_history() {
        let info = |run: &str, history: &str, role: &str| {
            format!(
                "# Server\r\nredis_version:7.0.15\r\nrun_id:{run}\r\n\r\n# Replication\r\nrole:{role}\r\nmaster_replid:{history}\r\nmaster_replid2:0\r\n"
            )
        };
        let first = Server::read(&info("a", "x", "master")).unwrap();
        assert!(first.is_primary && first.version == "7.0.15");
        assert!(first.continues(&first));
        assert!(!Server::read(&info("b", "x", "master")).unwrap().continues(&first), "it was restarted");
        assert!(!Server::read(&info("a", "y", "master")).unwrap().continues(&first), "it was promoted");
        assert!(!Server::read(&info("a", "x", "slave")).unwrap().is_primary);
        let number = |run, history| Server::read(&info(run, history, "master")).unwrap().number();
        assert_eq!(number("a", "x"), first.number());
        assert!(number("b", "x") != first.number() && number("a", "y") != first.number());
        assert!(number("ax", "") != number("a", "x"));
        assert_eq!(Server::read("role:master"), None);
    }
}
