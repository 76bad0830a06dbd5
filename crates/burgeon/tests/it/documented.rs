//! `docs/configuration.md` is made from the Config types: the keys and defaults from their values, the words from their
//! doc comments. `BURGEON_BLESS=1 cargo test -p burgeon documented` writes it anew.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use burgeon::App;

use crate::support::Place;

/// Where the keys below a prefix are declared. A key that is found nowhere fails the test.
const DECLARED: [(&str, &str, &str); 17] = [
    ("app", "crates/burgeon/src/settings.rs", "Config"),
    ("http", "crates/http/src/config.rs", "Config"),
    ("http.cors", "crates/http/src/config.rs", "Cors"),
    ("http.tls", "crates/http/src/config.rs", "Tls"),
    ("admin", "crates/burgeon/src/admin.rs", "Config"),
    ("database", "crates/db/src/config.rs", "Config"),
    ("database.sqlite", "crates/db/src/config.rs", "Sqlite"),
    ("database.routing", "crates/db/src/postgres/fleet/config.rs", "Routing"),
    ("database.postgres", "crates/db/src/postgres/config.rs", "Config"),
    ("cluster", "crates/cluster/src/config.rs", "Config"),
    ("cluster.bus", "crates/cluster/src/bus/config.rs", "Config"),
    ("cache", "crates/cache/src/config.rs", "Config"),
    ("cache.far", "crates/cache/src/far/config.rs", "Config"),
    ("runtime", "crates/runtime/src/config.rs", "Config"),
    ("telemetry", "crates/telemetry/src/config.rs", "Config"),
    ("redis", "crates/redis/src/config.rs", "Config"),
    ("nats", "crates/cluster/src/nats.rs", "Config"),
];

const HEAD: &str = "# Configuration

<!-- Made by a test from the Config types: BURGEON_BLESS=1 cargo test -p burgeon documented -->

Everything has a default that is safe; write down only what differs. Values are read in layers, each over the one
before:

1. the default below,
2. `burgeon.toml` in the working directory, or the file that `--config FILE` or `BURGEON_CONFIG` names,
3. the variables that hosting platforms set: `DATABASE_URL` (`database.url`) and `PORT` (`http.port`),
4. variables: `BURGEON__HTTP__PORT=8080` is `http.port`, two underscores between the parts,
5. files that variables name: `BURGEON__DATABASE__URL_FILE=/run/secrets/url` or `DATABASE_URL_FILE`, for secrets,
6. systemd credentials named as a key: `LoadCredential=database.url:/etc/shop/url`.

The narrower the audience of a layer, the stronger it is. A value given both as a variable and as a variable's file is
refused, as is a key that does not exist (with the one that was probably meant), a value of the wrong type, and values
that do not make sense together; all problems are told at once, each with its line or variable, and nothing is started.

`config explain` prints every key with its value, where it came from, and its default; `--json` for programs. Secrets
print as `***`. A configuration changes by a restart; only what is logged can be changed while the process runs
(`PUT /log` on the admin port).

Durations are whole numbers with a unit (`250ms`, `5s`, `2m`, `1h`, `1d`), sizes likewise (`512`, `64KiB`, `2MiB`,
`1GiB`). In a variable a list is separated by commas.

An application adds sections of its own with `App::config::<T>(\"name\")`; they appear in `config explain` beside these.
";

#[tokio::test]
async fn every_key_is_in_the_document_with_its_default_and_meaning() {
    let node = Place::new().start(App::new("shop")).await;
    let mut text = HEAD.to_owned();
    let mut section = String::new();
    for (prefix, file, name) in DECLARED {
        let docs = fields(&root().join(file), name);
        let mut rows = Vec::new();
        for entry in node.configuration().entries() {
            let Some((parent, key)) = entry.key.rsplit_once('.') else { continue };
            if parent == prefix {
                let meaning =
                    docs.get(key).unwrap_or_else(|| panic!("{} has no doc comment in {file}", entry.key));
                let default =
                    if entry.default.is_empty() { String::new() } else { format!("`{}`", entry.default) };
                rows.push(format!("| `{key}` | {default} | {} |\n", meaning.replace('|', "\\|")));
            }
        }
        assert!(!rows.is_empty(), "no key is declared in {name} of {file}");
        section.clear();
        section.push_str(&format!("\n## `[{prefix}]`\n\n| key | default | meaning |\n|---|---|---|\n"));
        rows.sort();
        section.extend(rows);
        text.push_str(&section);
    }
    for entry in node.configuration().entries() {
        let parent = entry.key.rsplit_once('.').map_or("", |(parent, _)| parent);
        assert!(DECLARED.iter().any(|(prefix, ..)| *prefix == parent), "where is {} declared?", entry.key);
    }
    node.stop().await.unwrap();

    let path = root().join("docs/configuration.md");
    if std::env::var_os("BURGEON_BLESS").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, &text).unwrap();
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        written == text,
        "docs/configuration.md is not current: BURGEON_BLESS=1 cargo test -p burgeon documented"
    );
}

/// The doc comments of a struct's fields, each on one line.
fn fields(file: &Path, name: &str) -> BTreeMap<String, String> {
    let source = std::fs::read_to_string(file).unwrap();
    let parsed = syn::parse_file(&source).unwrap();
    let declared = parsed.items.iter().find_map(|item| match item {
        syn::Item::Struct(declared) if declared.ident == name => Some(declared),
        _ => None,
    });
    let declared = declared.unwrap_or_else(|| panic!("{} declares no struct {name}", file.display()));
    let docs = |field: &syn::Field| {
        let lines = field.attrs.iter().filter_map(|attribute| match &attribute.meta {
            syn::Meta::NameValue(doc) if doc.path.is_ident("doc") => match &doc.value {
                syn::Expr::Lit(syn::ExprLit { lit: syn::Lit::Str(line), .. }) => {
                    Some(line.value().trim().to_owned())
                }
                _ => None,
            },
            _ => None,
        });
        without_links(&lines.collect::<Vec<_>>().join(" "))
    };
    declared
        .fields
        .iter()
        .filter_map(|field| Some((field.ident.as_ref()?.to_string(), docs(field))))
        .collect()
}

/// Links into the API documentation lead nowhere from here: `[words](crate::Thing)` and `` [`Thing`] `` become words.
fn without_links(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(open) = rest.find('[') {
        out.push_str(&rest[..open]);
        rest = &rest[open + 1..];
        let Some(close) = rest.find(']') else { break };
        out.push_str(&rest[..close]);
        rest = &rest[close + 1..];
        if rest.starts_with("(crate::")
            && let Some(end) = rest.find(')')
        {
            rest = &rest[end + 1..];
        }
    }
    out.push_str(rest);
    out
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}
