//! Messages for the next page: "Your order was placed."
//!
//! They travel in a signed cookie from the response that redirects to the page that shows them, once.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use burgeon_core::{Error, Result};

use crate::cookies::{Cookie, Jar, keys, own_name};
use crate::door::Door;
use crate::extract::{Extract, Head};

const NAME: &str = "flash";
const PURPOSE: &str = "flash";
/// Nobody waits longer for the page after a redirect.
const LIFETIME: Duration = Duration::from_secs(300);
/// So that the cookie fits; the oldest give way.
const MOST: usize = 8;
const MOST_CHARACTERS: usize = 300;

/// The messages for the visitor. Cloning shares them.
#[derive(Debug, Clone)]
pub struct Flash {
    jar: Jar,
}

/// One message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// How it went.
    pub level: Level,
    /// What to say.
    pub text: String,
}

/// How it went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// It worked.
    Success,
    /// Something to know.
    Notice,
    /// It did not work.
    Failure,
}

impl Level {
    /// `success`, `notice`, `failure`: for a class on the page.
    pub fn name(self) -> &'static str {
        match self {
            Level::Success => "success",
            Level::Notice => "notice",
            Level::Failure => "failure",
        }
    }
}

#[derive(Debug, Default)]
pub(super) struct State {
    received: Vec<Message>,
    sent: Vec<Message>,
    was_taken: bool,
}

impl Flash {
    /// It worked.
    pub fn success(&self, text: impl Into<String>) {
        self.add(Level::Success, text.into());
    }

    /// Something to know.
    pub fn notice(&self, text: impl Into<String>) {
        self.add(Level::Notice, text.into());
    }

    /// It did not work.
    pub fn failure(&self, text: impl Into<String>) {
        self.add(Level::Failure, text.into());
    }

    /// The messages that came with this request, to show them now. They are gone afterwards.
    pub fn take(&self) -> Vec<Message> {
        self.with(|state| {
            state.was_taken |= !state.received.is_empty();
            std::mem::take(&mut state.received)
        })
    }

    fn add(&self, level: Level, text: String) {
        let text = text.chars().take(MOST_CHARACTERS).collect();
        self.with(|state| {
            if state.sent.len() == MOST {
                state.sent.remove(0);
            }
            state.sent.push(Message { level, text });
        });
    }

    fn with<T>(&self, look: impl FnOnce(&mut State) -> T) -> T {
        look(self.jar.lock().flash.get_or_insert_default())
    }
}

impl<S: Sync> Extract<S> for Flash {
    async fn extract(head: &mut Head, _state: &S) -> Result<Self> {
        let secure = head.is_secure();
        let jar = head.jar();
        let keys = keys(head.door())?;
        if jar.lock().flash.is_none() {
            let received = jar
                .get(&own_name(NAME, secure))
                .and_then(|sealed| keys.open(PURPOSE, &sealed))
                .and_then(|content| serde_json::from_slice(&content).ok())
                .unwrap_or_default();
            jar.lock().flash = Some(State { received, ..State::default() });
        }
        Ok(Self { jar })
    }
}

pub(super) fn save(jar: &Jar, door: &Door, secure: bool) -> Result<()> {
    let (messages, forget) = {
        let mut contents = jar.lock();
        let Some(state) = &mut contents.flash else { return Ok(()) };
        let mut messages = std::mem::take(&mut state.sent);
        // What came and was not shown waits for the page that shows it.
        if !messages.is_empty() {
            let mut all = std::mem::take(&mut state.received);
            all.append(&mut messages);
            let surplus = all.len().saturating_sub(MOST);
            messages = all.split_off(surplus);
        }
        (messages, state.was_taken)
    };
    let name = own_name(NAME, secure);
    if messages.is_empty() {
        return if forget {
            jar.set(&Cookie::new(name, "").with_max_age(Duration::ZERO), secure)
        } else {
            Ok(())
        };
    }
    let content = serde_json::to_vec(&messages).map_err(Error::internal)?;
    let sealed = keys(door)?.seal(PURPOSE, &content, LIFETIME)?;
    jar.set(&Cookie::new(name, sealed).with_max_age(LIFETIME), secure)
}
