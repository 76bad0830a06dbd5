//! Kills the shop in the middle of a hundred checkouts, again and again, and holds its books against a ledger of our own.
//!
//! The ledger knows what was asked, under which token, and which orders were acknowledged. After every kill the shop is started again,
//! some of the unanswered checkouts are sent once more under their tokens, and the database is read behind the shop's back:
//!
//! 1. nothing is oversold: what is left plus what was ordered is what there was, and nothing is below zero;
//! 2. no order half exists: its lines are the lines that were asked for;
//! 3. no acknowledged order is lost, and none exists twice.

mod books;
mod shop;

use std::collections::{BTreeMap, BTreeSet};
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bench_report::chaos::Chaos;
use bench_report::shop::Profile;
use burgeon_resilience::random::{Dice, below};
use serde_json::json;
use tokio::task::JoinSet;

use crate::books::Books;
use crate::shop::{Answer, Shop, Site};

pub type Failure = Box<dyn std::error::Error + Send + Sync>;

/// What one buyer wants: products and quantities, sorted by product.
type Wish = Vec<(i64, i64)>;

/// What is known outside of the shop.
#[derive(Default)]
struct Ledger {
    asked: BTreeMap<String, Wish>,
    acknowledged: BTreeSet<String>,
    refused: BTreeSet<String>,
    /// Answers that a healthy shop does not give to a well-formed checkout.
    strange: Vec<String>,
}

const BUYERS: usize = 100;
const FIRST_START: Duration = Duration::from_secs(180);
const RESTART: Duration = Duration::from_secs(30);

const ENGINES: [&str; 2] = ["sqlite", "postgres"];

#[tokio::main]
async fn main() -> ExitCode {
    let mut chaos =
        Chaos::from_args("kill -9 and restart amid concurrent checkouts, on both engines.", &ENGINES);
    let kills = if chaos.long { 100 } else { 20 };
    for engine in ENGINES {
        if chaos.wants(engine) {
            let ended = experiment(engine, kills, chaos.seed).await;
            chaos.tell(engine, ended);
        }
    }
    chaos.finish()
}

async fn experiment(engine: &str, kills: usize, seed: u64) -> Result<String, Failure> {
    let binary = bench_report::shop::build(Profile::Debug)?;
    let room = tempfile::tempdir()?;
    // Durable, because a lost acknowledgement is what is looked for.
    let server = match engine {
        "postgres" => Some(burgeon_services::Postgres::options().fsync(true).start().await?),
        _ => None,
    };
    let database_url = match &server {
        Some(server) => server.create_database().await?,
        None => format!("sqlite://{}", room.path().join("shop.db").display()),
    };
    let site = Site { binary, directory: room.path().to_owned(), database_url };

    let shop = Shop::start(&site, FIRST_START).await?;
    let opening = books::read(&site.database_url).await?;
    let dice = Dice::seeded(seed);
    let ledger = Arc::new(Mutex::new(Ledger::default()));
    let mut shop = Some(shop);
    for kill in 1..=kills {
        let running = match shop.take() {
            Some(running) => running,
            None => Shop::start(&site, RESTART).await?,
        };
        let port = running.port();
        ask_again(port, &ledger, &dice).await;
        let shelf = shelf(&opening, &dice);
        let buyers = send_buyers(port, &shelf, &ledger, &dice);
        tokio::time::sleep(Duration::from_millis(50 + below(dice.roll(), 350))).await;
        running.kill().await?;
        wait_for(buyers).await?;
        audit(&opening, &books::read(&site.database_url).await?, &ledger)
            .map_err(|error| format!("after kill {kill}: {error}"))?;
    }
    // The last start must find everything in order as well.
    let last = Shop::start(&site, RESTART).await?;
    ask_again(last.port(), &ledger, &dice).await;
    last.kill().await?;
    let closing = books::read(&site.database_url).await?;
    audit(&opening, &closing, &ledger)?;

    let ledger = lock(&ledger);
    if ledger.acknowledged.is_empty() || ledger.acknowledged.len() == ledger.asked.len() {
        return Err(format!(
            "the kills hit nothing: {} checkouts, {} acknowledged; the experiment tested nothing",
            ledger.asked.len(),
            ledger.acknowledged.len()
        )
        .into());
    }
    Ok(format!(
        "{kills} kills, {} checkouts, {} acknowledged, {} refused as sold out, {} unanswered of which {} had been committed; nothing oversold, halved or lost",
        ledger.asked.len(),
        ledger.acknowledged.len(),
        ledger.refused.len(),
        ledger.asked.len() - ledger.acknowledged.len() - ledger.refused.len(),
        closing.order_rows - opening.order_rows - ledger.acknowledged.len(),
    ))
}

/// Thirty products that have something left, so that buyers meet on the same rows and some sell out.
fn shelf(opening: &Books, dice: &Dice) -> Vec<i64> {
    let stocked: Vec<i64> =
        opening.stock.iter().filter(|(_, left)| **left > 0).map(|(product, _)| *product).collect();
    (0..30).map(|_| stocked[below(dice.roll(), stocked.len() as u64) as usize]).collect()
}

/// A version 4 UUID as text.
fn token(dice: &Dice) -> String {
    let (high, low) = (dice.roll(), dice.roll());
    format!(
        "{:08x}-{:04x}-4{:03x}-{:04x}-{:012x}",
        high >> 32,
        (high >> 16) & 0xffff,
        high & 0xfff,
        (low >> 48) & 0x3fff | 0x8000,
        low & 0xffff_ffff_ffff
    )
}

fn send_buyers(port: u16, shelf: &[i64], ledger: &Arc<Mutex<Ledger>>, dice: &Dice) -> JoinSet<()> {
    let mut buyers = JoinSet::new();
    for _ in 0..BUYERS {
        let dice = Dice::seeded(dice.roll());
        let (shelf, ledger) = (shelf.to_vec(), ledger.clone());
        buyers.spawn(async move {
            loop {
                let token = token(&dice);
                let mut wish = BTreeMap::new();
                for _ in 0..1 + below(dice.roll(), 4) {
                    let product = shelf[below(dice.roll(), shelf.len() as u64) as usize];
                    wish.insert(product, 1 + below(dice.roll(), 3) as i64);
                }
                let wish: Wish = wish.into_iter().collect();
                lock(&ledger).asked.insert(token.clone(), wish.clone());
                if !buy(port, &token, &wish, &ledger).await {
                    return; // The shop is gone.
                }
            }
        });
    }
    buyers
}

/// One checkout; `false` when no answer came.
async fn buy(port: u16, token: &str, wish: &Wish, ledger: &Mutex<Ledger>) -> bool {
    let lines: Vec<_> =
        wish.iter().map(|(product, quantity)| json!({"product": product, "quantity": quantity})).collect();
    let order = json!({
        "token": token, "email": "buyer@example.com", "name": "A. Buyer", "street": "1 Main Street", "town": "Leeds",
        "postcode": "LS1 1AA", "lines": lines,
    });
    let answer = shop::ask(port, "POST", "/api/orders", Some(&order)).await;
    let Answer::Said { status, body } = answer else { return false };
    let mut ledger = lock(ledger);
    match status {
        200 | 201 => {
            ledger.acknowledged.insert(token.to_owned());
        }
        409 => {
            if ledger.acknowledged.contains(token) {
                ledger
                    .strange
                    .push(format!("an acknowledged order was refused when asked for again: {body}"));
            }
            ledger.refused.insert(token.to_owned());
        }
        // Shedding and draining are honest answers under this load.
        503 | 504 | 429 => {}
        _ => ledger.strange.push(format!("status {status}: {body}")),
    }
    true
}

/// Sends some of the unanswered checkouts once more under their tokens, as a client that retries would.
async fn ask_again(port: u16, ledger: &Arc<Mutex<Ledger>>, dice: &Dice) {
    let unanswered: Vec<(String, Wish)> = {
        let ledger = lock(ledger);
        let open = ledger.asked.iter().filter(|(token, _)| !ledger.acknowledged.contains(*token));
        open.map(|(token, wish)| (token.clone(), wish.clone())).collect()
    };
    for _ in 0..20.min(unanswered.len()) {
        let (token, wish) = &unanswered[below(dice.roll(), unanswered.len() as u64) as usize];
        buy(port, token, wish, ledger).await;
    }
}

async fn wait_for(mut buyers: JoinSet<()>) -> Result<(), Failure> {
    let all = async {
        while let Some(ended) = buyers.join_next().await {
            ended?;
        }
        Ok::<(), Failure>(())
    };
    tokio::time::timeout(Duration::from_secs(20), all)
        .await
        .map_err(|_| "a buyer hung after the shop was killed")?
}

fn audit(opening: &Books, now: &Books, ledger: &Mutex<Ledger>) -> Result<(), Failure> {
    let ledger = lock(ledger);
    if let Some(strange) = ledger.strange.first() {
        return Err(format!("{} strange answers, the first: {strange}", ledger.strange.len()).into());
    }
    if now.order_rows != now.orders.len() {
        return Err(
            format!("{} orders for {} tokens: one exists twice", now.order_rows, now.orders.len()).into()
        );
    }
    let mut sold: BTreeMap<i64, i64> = BTreeMap::new();
    for (token, lines) in &now.orders {
        let mut lines = lines.clone();
        lines.sort_unstable();
        // Orders of the first start's own making are not ours to judge.
        let Some(wish) = ledger.asked.get(token).or_else(|| opening.orders.get(token)) else {
            return Err(format!("order {token} was never asked for").into());
        };
        if opening.orders.contains_key(token) {
            continue;
        }
        if lines != *wish {
            return Err(format!("order {token} half exists: asked {wish:?}, found {lines:?}").into());
        }
        for (product, quantity) in lines {
            *sold.entry(product).or_default() += quantity;
        }
    }
    for (product, before) in &opening.stock {
        let left = now.stock.get(product).copied().unwrap_or(0);
        let sold = sold.get(product).copied().unwrap_or(0);
        if left < 0 || before - sold != left {
            return Err(format!("product {product}: {before} at first, {sold} sold, {left} left").into());
        }
    }
    if let Some(lost) = ledger.acknowledged.iter().find(|token| !now.orders.contains_key(*token)) {
        return Err(format!("acknowledged order {lost} is lost").into());
    }
    Ok(())
}

fn lock(ledger: &Mutex<Ledger>) -> std::sync::MutexGuard<'_, Ledger> {
    ledger.lock().unwrap_or_else(PoisonError::into_inner)
}
