//! Whose name servers run under: our own, or an unprivileged one when we are root.

use std::fs;

use crate::error::{Error, Result};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Account {
    pub(crate) uid: u32,
    pub(crate) gid: u32,
}

/// The user to change to, or `None` when servers may run as the user we are. As root it is `postgres`, whose
/// name a person reads in `ps` without surprise, else `nobody`.
pub(crate) fn unprivileged() -> Result<Option<Account>> {
    if !rustix::process::geteuid().is_root() {
        return Ok(None);
    }
    let users = fs::read_to_string("/etc/passwd").map_err(|error| Error::io("reading /etc/passwd", error))?;
    ["postgres", "nobody"].iter().find_map(|name| entry(&users, name)).map(Some).ok_or_else(|| {
        Error::new(
            "Postgres refuses to run as root, and /etc/passwd has neither a user `postgres` nor `nobody`: \
             add one (`useradd --system postgres`) or run the tests as an ordinary user",
        )
    })
}

fn entry(users: &str, name: &str) -> Option<Account> {
    users.lines().find_map(|line| {
        let mut fields = line.split(':');
        if fields.next()? != name {
            return None;
        }
        let mut fields = fields.skip(1);
        let account = Account { uid: fields.next()?.parse().ok()?, gid: fields.next()?.parse().ok()? };
        (account.uid != 0).then_some(account)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const USERS: &str = "root:x:0:0:root:/root:/bin/bash\npostgres:x:101:104:,,,:/var/lib/postgresql:/bin/bash\n\
                         postgres2:x:7:7::/:/bin/sh\nbroken:x:seven\nsly:x:0:0::/:/bin/sh\n";

    #[test]
    fn a_user_is_found_by_its_whole_name() {
        assert_eq!(entry(USERS, "postgres"), Some(Account { uid: 101, gid: 104 }));
        assert_eq!(entry(USERS, "postgres2"), Some(Account { uid: 7, gid: 7 }));
        assert_eq!(entry(USERS, "post"), None);
    }

    #[test]
    fn a_broken_line_and_a_second_root_are_nobody() {
        assert_eq!(entry(USERS, "broken"), None);
        assert_eq!(entry(USERS, "sly"), None);
    }
}
