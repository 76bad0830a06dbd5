use super::*;

fn sqlite(text: &str) -> String {
    scan(text).unwrap().sqlite
}

fn reads(text: &str) -> bool {
    scan(text).unwrap().reads
}

#[test]
fn parameters_keep_their_numbers_whatever_their_order() {
    let scan = scan("update t set price = $2, old = $3 where id = $1 or up = $2").unwrap();
    assert_eq!(scan.sqlite, "update t set price = ?2, old = ?3 where id = ?1 or up = ?2");
    assert_eq!(scan.params, BTreeSet::from([1, 2, 3]));
}

#[test]
fn what_is_quoted_or_commented_is_not_a_parameter() {
    for text in [
        "select '$1'",
        "select 'it''s $1'",
        "select \"odd $1 name\"",
        "select \"a \"\" $1\"",
        "select 1 -- $1 and 'an open quote",
        "select 1 /* $1 /* nested $2 */ ' */",
        "select E'a\\' $1'",
        "select $$ $1 $$",
        "select $body$ $1 $$ $body$",
    ] {
        let scan = scan(text).unwrap();
        assert_eq!(scan.params, BTreeSet::new(), "{text}");
        assert_eq!(scan.sqlite, text);
    }
    assert_eq!(sqlite("select 'a' || $1 -- 'x\n || $2"), "select 'a' || ?1 -- 'x\n || ?2");
    // A backslash escapes nothing in a plain string.
    assert_eq!(sqlite("select 'a\\', $1"), "select 'a\\', ?1");
    // A name may hold a dollar and a digit.
    assert_eq!(sqlite("select tab$1 from t"), "select tab$1 from t");
}

#[test]
fn a_list_becomes_a_table_of_values() {
    assert_eq!(
        sqlite("select 1 from t where id = any($1) and b <> ALL ( $2 )"),
        "select 1 from t where id in (select value from rarray(?1)) and b not in (select value from rarray(?2))"
    );
    // Not a list parameter: left as it is.
    assert_eq!(sqlite("select 1 where a = any(select b from c)"), "select 1 where a = any(select b from c)");
    assert_eq!(sqlite("select 1 where a >= $1"), "select 1 where a >= ?1");
}

#[test]
fn what_changes_or_locks_is_a_write() {
    assert!(reads("select 1"));
    assert!(reads("  -- why\n SELECT updated, insertion from t"));
    assert!(reads("with x as (select 1) select * from x"));
    assert!(reads("values (1)"));
    assert!(reads("select 'delete from t'"));
    for text in [
        "insert into t values ($1)",
        "select 1 from t for update",
        "select 1 from t for no key update",
        "with gone as (delete from t returning id) select id from gone",
        "select 1 into t2",
        "create table t (a int)",
        "pragma user_version",
    ] {
        assert!(!reads(text), "{text}");
    }
}

#[test]
fn what_cannot_be_right_is_refused() {
    for (text, says) in [
        ("", "empty"),
        ("  -- nothing\n", "empty"),
        ("select 'open", "never closed"),
        ("select \"open", "never closed"),
        ("select /* open", "never closed"),
        ("select $$ open", "never closed"),
        ("select $0", "no `$0`"),
        ("select 1; select 2", "one statement"),
        ("select $", "lone `$`"),
        ("select $99999999999", "beyond reason"),
    ] {
        assert!(scan(text).unwrap_err().contains(says), "{text}");
    }
    assert_eq!(sqlite("select 1 ; "), "select 1 ");
}

#[test]
fn what_only_one_engine_knows_is_noted() {
    assert!(scan("select a::text from t").unwrap().foreign.is_some());
    assert!(scan("select ?").unwrap().foreign.is_some());
    assert!(scan("select a from t").unwrap().foreign.is_none());
    assert!(scan("select 'a::b'").unwrap().foreign.is_none());
}
