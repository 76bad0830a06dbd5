//! The cache of HTTP responses: tables of what is asked, answered and served, and tests of what a table cannot say.

mod axum;
mod collapse;
mod fragments;
mod freshness;
mod keys;
mod purge;
mod requests;
mod stale;
mod storing;
mod streams;
mod table;
mod transactions;
mod validation;
mod vary;

/// All tables together are the proof that RFC 9111 is followed; a row that gets lost is missed here.
#[test]
fn there_are_at_least_sixty_cases() {
    let tables = [
        freshness::TABLE,
        keys::TABLE,
        purge::TABLE,
        requests::TABLE,
        stale::TABLE,
        storing::TABLE,
        validation::TABLE,
        vary::TABLE,
    ];
    let cases: usize = tables.iter().map(|table| table::cases(table).count()).sum();
    assert!(cases >= 60, "{cases} cases");
}
