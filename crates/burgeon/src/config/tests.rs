use std::collections::BTreeMap;
use std::time::Duration;

use burgeon_core::{Secret, units};
use serde::{Deserialize, Serialize};

use super::*;

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Store {
    url: Secret,
    connections: u16,
    #[serde(with = "units::duration")]
    wait: Duration,
    tls: Tls,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Tls {
    key_file: Option<String>,
    required: bool,
}

impl Default for Store {
    fn default() -> Self {
        Self { url: "".into(), connections: 20, wait: Duration::from_secs(2), tls: Tls::default() }
    }
}

impl Store {
    fn validate(&self) -> Result<(), String> {
        match self.connections {
            0 => Err("`connections` must be at least 1".to_owned()),
            _ => Ok(()),
        }
    }
}

/// An application's own section, without `deny_unknown_fields`: forgetting it must not open a hole.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Shop {
    #[serde(default)]
    currencies: Vec<String>,
    #[serde(default)]
    rates: BTreeMap<String, f64>,
    #[serde(default)]
    mode: Mode,
    colour: String,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Mode {
    #[default]
    Open,
    Closed,
}

impl Default for Shop {
    fn default() -> Self {
        Self { currencies: vec![], rates: BTreeMap::new(), mode: Mode::Open, colour: "green".into() }
    }
}

fn sections() -> Vec<Section> {
    vec![Section::new("database", Store::validate), Section::new::<Shop>("shop", |_| Ok(()))]
}

struct Case {
    directory: tempfile::TempDir,
    environment: Environment,
}

impl Case {
    fn new(toml: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let toml = format!("{toml}\n");
        // `colour` has no default of its own; a case that does not speak of it gets it.
        let toml = if toml.contains("[shop]") || toml.contains("colour") {
            toml
        } else {
            format!("{toml}[shop]\ncolour = \"red\"\n")
        };
        std::fs::write(directory.path().join("burgeon.toml"), toml).unwrap();
        let environment = Environment::empty(directory.path());
        Self { directory, environment }
    }

    fn with(mut self, name: &str, value: &str) -> Self {
        self.environment = self.environment.with(name, value);
        self
    }

    fn file(self, name: &str, contents: &str) -> Self {
        std::fs::create_dir_all(self.directory.path().join(name).parent().unwrap()).unwrap();
        std::fs::write(self.directory.path().join(name), contents).unwrap();
        self
    }

    fn load(&self) -> Result<Configuration, Problems> {
        load(
            &sections(),
            &Source {
                environment: &self.environment,
                file: None,
                defaults: &[("database.url", "sqlite:shop.db".to_owned())],
                renamed: &[("database.pool_size".to_owned(), "database.connections".to_owned())],
            },
        )
    }

    fn store(&self) -> Store {
        self.load().unwrap_or_else(|problems| panic!("{problems}")).section("database").unwrap()
    }

    fn problems(&self) -> String {
        match self.load() {
            Ok(_) => panic!("the configuration was accepted"),
            Err(problems) => problems.to_string(),
        }
    }

    fn entry(&self, key: &str) -> Entry {
        let configuration = self.load().unwrap_or_else(|problems| panic!("{problems}"));
        configuration.entries().iter().find(|entry| entry.key == key).unwrap().clone()
    }
}

#[test]
fn each_layer_covers_the_one_before_and_says_so() {
    let case = Case::new("");
    assert_eq!(case.store().url.expose(), "sqlite:shop.db");
    assert_eq!(case.entry("database.url").origin, Origin::Default);

    let case = Case::new("[database]\nurl = \"postgres://file/a\"");
    assert_eq!(case.store().url.expose(), "postgres://file/a");
    assert_eq!(case.entry("database.url").origin.to_string(), "burgeon.toml:2");

    let case = case.with("DATABASE_URL", "postgres://convention/a");
    assert_eq!(case.store().url.expose(), "postgres://convention/a");
    assert_eq!(case.entry("database.url").origin.to_string(), "variable DATABASE_URL");

    let case = case.with("BURGEON__DATABASE__URL", "postgres://own/a");
    assert_eq!(case.store().url.expose(), "postgres://own/a");

    let case = case
        .with("CREDENTIALS_DIRECTORY", "credentials")
        .file("credentials/database.url", "postgres://credential/a\n");
    assert_eq!(case.store().url.expose(), "postgres://credential/a");
    assert!(case.entry("database.url").origin.to_string().starts_with("credential "));
}

#[test]
fn a_secret_comes_from_a_file_that_a_variable_names() {
    for variable in ["BURGEON__DATABASE__URL_FILE", "BURGEON__DATABASE__URL__FILE", "DATABASE_URL_FILE"] {
        let case = Case::new("").with(variable, "secret").file("secret", "postgres://a:b@c/d\r\n");
        assert_eq!(case.store().url.expose(), "postgres://a:b@c/d", "{variable}");
        let entry = case.entry("database.url");
        assert_eq!(entry.value, "postgres://a:***@c/d");
        assert!(entry.origin.to_string().ends_with(&format!("secret (from {variable})")), "{}", entry.origin);
    }
}

#[test]
fn a_key_that_ends_in_file_is_a_key() {
    let case = Case::new("").with("BURGEON__DATABASE__TLS__KEY_FILE", "/no/such/file");
    assert_eq!(case.store().tls.key_file.as_deref(), Some("/no/such/file"));
}

#[test]
fn a_value_given_twice_in_the_surroundings_is_refused() {
    let problems = Case::new("")
        .with("DATABASE_URL", "postgres://a/b")
        .with("DATABASE_URL_FILE", "secret")
        .file("secret", "postgres://c/d")
        .problems();
    assert!(
        problems.contains(
            "variable DATABASE_URL_FILE: gives `database.url`, which variable DATABASE_URL gives as well"
        ),
        "{problems}"
    );
}

#[test]
fn a_file_that_cannot_be_read_is_named() {
    let problems = Case::new("").with("DATABASE_URL_FILE", "nowhere").problems();
    assert!(
        problems.contains("DATABASE_URL_FILE: names ") && problems.contains("nowhere, which cannot be read"),
        "{problems}"
    );

    let problems = Case::new("").with("BURGEON_CONFIG", "other.toml").problems();
    assert!(problems.contains("variable BURGEON_CONFIG: the file other.toml cannot be read"), "{problems}");

    let huge = "x".repeat(70_000);
    let problems = Case::new("").with("DATABASE_URL_FILE", "huge").file("huge", &huge).problems();
    assert!(problems.contains("longer than 64 KiB"), "{problems}");
}

#[test]
fn an_unknown_key_is_refused_with_its_place_and_what_was_meant() {
    for (toml, expected) in [
        (
            "[database]\nurl = \"\"\nconections = 3",
            "burgeon.toml:3: `database.conections` is not a key; did you mean `database.connections`?",
        ),
        ("[databse]\nurl = \"\"", "burgeon.toml:1: `databse` is not a key; did you mean `database`?"),
        (
            "[database.tls]\nrequire = true",
            "burgeon.toml:2: `database.tls.require` is not a key; did you mean `database.tls.required`?",
        ),
        (
            "[shop]\ncolour = \"red\"\nurl = \"x\"",
            "burgeon.toml:3: `shop.url` is not a key; did you mean `database.url`?",
        ),
        (
            "[shop]\ncolour = \"red\"\nmodus = \"open\"",
            "burgeon.toml:3: `shop.modus` is not a key; did you mean `shop.mode`?",
        ),
        (
            "[database]\nzzz = 1",
            "`database.zzz` is not a key; known here are `url`, `connections`, `wait`, `tls`",
        ),
    ] {
        let problems = Case::new(toml).problems();
        assert!(problems.contains(expected), "{toml}\n{problems}");
    }
    let problems = Case::new("").with("BURGEON__DATABASE__CONNECTION", "3").problems();
    assert!(
        problems.contains("variable BURGEON__DATABASE__CONNECTION: `database.connection` is not a key; did you mean `database.connections`?"),
        "{problems}"
    );
}

#[test]
fn one_underscore_too_few_is_told_and_a_strangers_variable_is_left_alone() {
    let problems = Case::new("").with("BURGEON_DATABASE_URL", "postgres://a/b").problems();
    assert!(
        problems.contains("variable BURGEON_DATABASE_URL: is not read; did you mean BURGEON__DATABASE__URL?"),
        "{problems}"
    );
    Case::new("").with("BURGEON_HOME", "/somewhere").store();
}

#[test]
fn a_renamed_key_names_the_new_one() {
    let problems = Case::new("[database]\npool_size = 5").problems();
    assert!(
        problems.contains("burgeon.toml:2: `database.pool_size` is called `database.connections` now"),
        "{problems}"
    );
    assert!(!problems.contains("not a key"), "{problems}");
}

#[test]
fn a_wrong_type_names_the_key_the_place_and_what_was_expected() {
    for (toml, expected) in [
        (
            "[database]\nconnections = \"many\"",
            "burgeon.toml:2: `database.connections`: expected a whole number, found text",
        ),
        ("[database]\nconnections = 70000", "burgeon.toml:2: `database.connections`: "),
        (
            "[database]\nwait = \"soon\"",
            "burgeon.toml:2: `database.wait`: `soon` is not a duration; write a whole number with a unit: 250ms",
        ),
        (
            "[shop]\ncolour = \"red\"\nmode = \"ajar\"",
            "burgeon.toml:3: `shop.mode`: unknown variant `ajar`, expected `open` or `closed`",
        ),
        (
            "[shop]\ncolour = \"red\"\ncurrencies = [\"eur\", 5]",
            "burgeon.toml:3: `shop.currencies[1]`: expected text, found a whole number",
        ),
        (
            "[shop]\nmode = \"open\"",
            "burgeon.toml:1: `shop.colour` is missing; set it in the file, or by BURGEON__SHOP__COLOUR",
        ),
        ("database = 5", "burgeon.toml:1: [database] expected a table, found a whole number"),
    ] {
        let problems = Case::new(toml).problems();
        assert!(problems.contains(expected), "{toml}\n{problems}");
    }
    let problems = Case::new("").with("BURGEON__DATABASE__CONNECTIONS", "many").problems();
    assert!(
        problems.contains("variable BURGEON__DATABASE__CONNECTIONS: `database.connections`: expected a whole number from 0 to 65535"),
        "{problems}"
    );
}

#[test]
fn a_secret_of_the_wrong_type_is_not_printed() {
    let problems = Case::new("[database]\nurl = 12345678").problems();
    assert!(problems.contains("`database.url`") && !problems.contains("12345678"), "{problems}");
}

#[test]
fn what_is_not_toml_is_refused_with_its_line() {
    let problems = Case::new("[database]\nurl = \"a\nconnections = 2").problems();
    assert!(problems.contains("burgeon.toml:2: is not TOML: "), "{problems}");
    let problems = Case::new("[database]\nconnections = 1\nconnections = 2").problems();
    assert!(problems.contains("burgeon.toml:3: is not TOML: duplicate key"), "{problems}");
}

#[test]
fn all_problems_of_all_sections_are_told_at_once() {
    let problems =
        Case::new("[database]\nwait = \"soon\"\nconections = 3\n[shop]\ncolour = 5\nmodus = 1\n[shpo]")
            .with("BURGEON__DATABASE__TLS__REQUIRED", "perhaps")
            .problems();
    assert!(problems.starts_with("the configuration has 6 problems:"), "{problems}");
}

#[test]
fn a_sections_own_check_is_told_with_the_origin_of_the_key() {
    let problems = Case::new("[database]\nconnections = 0").problems();
    assert!(
        problems
            .contains("[database] `connections` must be at least 1 (`connections` is set in burgeon.toml:2)"),
        "{problems}"
    );
}

#[test]
fn text_from_a_variable_becomes_what_its_reader_wants() {
    let case = Case::new("")
        .with("BURGEON__DATABASE__CONNECTIONS", "7")
        .with("BURGEON__DATABASE__WAIT", "250ms")
        .with("BURGEON__DATABASE__TLS__REQUIRED", "true")
        .with("BURGEON__SHOP__CURRENCIES", "eur, gbp")
        .with("BURGEON__SHOP__RATES__EUR", "1.5")
        .with("BURGEON__SHOP__MODE", "closed");
    let store = case.store();
    assert_eq!((store.connections, store.wait, store.tls.required), (7, Duration::from_millis(250), true));
    let shop: Shop = case.load().unwrap_or_else(|problems| panic!("{problems}")).section("shop").unwrap();
    assert_eq!(shop.currencies, ["eur", "gbp"]);
    assert_eq!(shop.rates.get("eur"), Some(&1.5));
    assert_eq!(shop.mode, Mode::Closed);
    assert_eq!(shop.colour, "red");
}

#[test]
fn an_explanation_has_every_key_and_no_secret() {
    let case = Case::new("[database]\nurl = \"postgres://app:hunter2@db/shop?password=hunter3\"");
    let configuration = case.load().unwrap_or_else(|problems| panic!("{problems}"));
    let text = table(configuration.entries());
    for key in [
        "database.url",
        "database.connections",
        "database.wait",
        "database.tls.key_file",
        "shop.mode",
        "shop.rates",
    ] {
        assert!(text.contains(key), "{key}\n{text}");
    }
    assert!(text.contains("postgres://app:***@db/shop  burgeon.toml:2  sqlite:shop.db"), "{text}");
    assert!(
        !text.contains("hunter") && !json(configuration.entries()).to_string().contains("hunter"),
        "{text}"
    );
}

#[test]
fn a_section_is_given_only_as_its_own_type() {
    let configuration = Case::new("").load().unwrap_or_else(|problems| panic!("{problems}"));
    assert!(configuration.section::<Shop>("shop").is_some());
    assert!(configuration.section::<Shop>("database").is_none());
    assert!(configuration.section::<Shop>("nothing").is_none());
}
