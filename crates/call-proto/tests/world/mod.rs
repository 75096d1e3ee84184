//! A world in virtual time around one call family: a caller, phones, an application, media and the
//! API, all scripted.
//!
//! A test describes the [`World`], lets it [`run`](World::run) and examines the [`Run`]: the
//! messages sent to each party with their times, the requests to the application, the records. The
//! host that plays it is that of `patchcord test` (`rehearse::play`). **Invariant: the same world
//! gives the same run, and each run is checked against the rules in `rules`.**

mod app;
mod directory;
mod phone;
mod rules;
mod run;
mod scene;

use std::collections::{BTreeMap, BTreeSet};

use call_proto::{
    CallbackTarget, Confidence, Detection, Dialect, DigitWay, Document, Headers, LegCallback,
    Modify, Redirect, SetIn, SpeechNews, Target,
};
use model::HttpMethod;

pub(crate) use app::{Reply, broken, empty, page, plain, status, unreachable, xml};
pub(crate) use directory::{Directory, account, client, number};
pub(crate) use phone::{Phone, phone};
pub(crate) use rehearse::Random;
pub(crate) use rehearse::scene::{Recognizer, UNUSABLE, Weather};
pub(crate) use rules::Rules;
pub(crate) use run::{Run, texts};
pub(crate) use scene::Nothing;

/// The initial state before the call, and what each party will do.
#[derive(Clone, Debug)]
pub(crate) struct World {
    pub(crate) root: Root,
    pub(crate) caller: Caller,
    pub(crate) directory: Directory,
    /// Replies of the application by path, in order; the last one repeats.
    pub(crate) pages: BTreeMap<String, Vec<Reply>>,
    /// Phones by login, number or user part; each one is a contact.
    pub(crate) phones: BTreeMap<String, Vec<Phone>>,
    /// Sound files by address, with their length in milliseconds.
    pub(crate) clips: BTreeMap<String, u64>,
    /// Timed acts, in milliseconds.
    pub(crate) acts: Vec<(u64, Act)>,
    /// How long looking up a target takes, in milliseconds.
    pub(crate) looking_up_ms: u64,
    /// Parties whose media cannot be opened.
    pub(crate) deaf: BTreeSet<String>,
    /// How long the media side takes to close a recording, in milliseconds; `None`: it never does.
    pub(crate) closing_ms: Option<u64>,
    /// Parties whose records cannot be stored.
    pub(crate) unrecorded: BTreeSet<String>,
    pub(crate) recognizer: Recognizer,
    /// The response of phones to text messages; `None`: none.
    pub(crate) message_answer: Option<u16>,
    /// Whether the media side fails to write recordings.
    pub(crate) disk_full: bool,
    /// Whether nothing is ever reported about streams.
    pub(crate) stuck_streams: bool,
    /// The servers behind streams: address, and what each does.
    pub(crate) agents: Vec<(&'static str, &'static str)>,
    pub(crate) dialect: Dialect,
    pub(crate) seed: u64,
    pub(crate) weather: Weather,
}

/// How the family starts.
#[derive(Clone, Debug)]
pub(crate) enum Root {
    /// K sends INVITE to this user part.
    Inbound(String),
    /// The API creates a call.
    Api(Box<ApiCall>),
}

#[derive(Clone, Debug)]
pub(crate) struct ApiCall {
    pub(crate) target: Target,
    pub(crate) from: String,
    pub(crate) headers: Headers,
    pub(crate) document: Document,
    pub(crate) callback: Option<LegCallback>,
    pub(crate) detection: Option<Detection>,
    pub(crate) timeout_s: u64,
}

/// The caller, K.
#[derive(Clone, Debug)]
pub(crate) struct Caller {
    pub(crate) user: String,
    pub(crate) display: Option<String>,
    pub(crate) headers: Headers,
    /// `None`: an INVITE without offer.
    pub(crate) sdp: Option<String>,
    /// Whether it answers a challenge correctly.
    pub(crate) knows_password: bool,
    /// Whether it calls from the address of a trunk.
    pub(crate) by_trunk: bool,
    /// Time from the 200 to its ACK; `None`: never.
    pub(crate) ack_ms: Option<u64>,
}

/// An act that happens by itself.
#[derive(Clone, Debug)]
pub(crate) enum Act {
    /// K sends CANCEL or BYE, whichever applies.
    HangUp,
    /// K sends a re-INVITE with this offer.
    Reinvite(Option<String>),
    /// A party asks that the other one be connected to fay.
    Refer(String),
    /// K acknowledges our answer to its re-INVITE with this description.
    Ack(Option<String>),
    /// Another party sends a re-INVITE with this offer.
    ReinviteBy(String, Option<String>),
    /// K sends an INFO without a key.
    Info,
    /// A party presses a key.
    Key(String, char, DigitWay),
    /// The recognizer reports speech of this party.
    Understood(String, SpeechNews),
    /// The path to this party is lost.
    Vanish(String),
    /// No more packets arrive from this party.
    Silence(String),
    /// The API changes the call of this party.
    Rest(String, Modify),
    /// The server stops.
    Shutdown(String),
    /// Another server ends the call of this party on record.
    EndedElsewhere(String),
}

impl World {
    /// K dials `+1000`, whose document is at `http://app/v`.
    pub(crate) fn new() -> Self {
        Self {
            root: Root::Inbound("+1000".to_owned()),
            caller: Caller {
                user: "kim".to_owned(),
                display: None,
                headers: Headers::new(),
                sdp: Some("offer of kim".to_owned()),
                knows_password: false,
                by_trunk: false,
                ack_ms: Some(0),
            },
            directory: Directory::new(),
            pages: BTreeMap::new(),
            phones: BTreeMap::new(),
            clips: BTreeMap::new(),
            acts: Vec::new(),
            looking_up_ms: 0,
            deaf: BTreeSet::new(),
            unrecorded: BTreeSet::new(),
            closing_ms: Some(0),
            recognizer: Recognizer::Works(None),
            message_answer: Some(200),
            disk_full: false,
            stuck_streams: false,
            agents: Vec::new(),
            dialect: Dialect::RESTCOMM,
            seed: 1,
            weather: Weather::Calm,
        }
    }

    /// K runs a document with this content.
    pub(crate) fn document(content: &str) -> Self {
        Self::new().app("/v", xml(content))
    }

    /// The API calls a party, on which a document with this content runs.
    pub(crate) fn api(target: Target, content: &str) -> Self {
        let mut world = Self::document(content);
        world.root = Root::Api(Box::new(ApiCall {
            target,
            from: "+1999".to_owned(),
            headers: Headers::new(),
            document: document_at("http://app/v"),
            callback: None,
            detection: None,
            timeout_s: 60,
        }));
        world
    }

    /// K dials this number instead.
    pub(crate) fn dials(mut self, called: &str) -> Self {
        self.root = Root::Inbound(called.to_owned());
        self
    }

    /// The application's next answer at a path.
    pub(crate) fn app(mut self, path: &str, reply: Reply) -> Self {
        self.pages.entry(path.to_owned()).or_default().push(reply);
        self
    }

    /// Adds a phone to a party.
    pub(crate) fn phone(mut self, name: &str, phone: Phone) -> Self {
        self.phones.entry(name.to_owned()).or_default().push(phone);
        self
    }

    /// A sound file and its length in seconds.
    pub(crate) fn clip(mut self, url: &str, seconds: f64) -> Self {
        self.clips.insert(url.to_owned(), ms(seconds));
        self
    }

    pub(crate) fn act(mut self, at_s: f64, act: Act) -> Self {
        self.acts.push((ms(at_s), act));
        self
    }

    /// K cancels or hangs up.
    pub(crate) fn hangs_up(self, at_s: f64) -> Self {
        self.act(at_s, Act::HangUp)
    }

    /// K presses keys, a tenth of a second apart, and its phone sends them by telephone-event.
    pub(crate) fn presses(self, at_s: f64, keys: &str) -> Self {
        self.presses_by(at_s, keys, DigitWay::Event)
    }

    pub(crate) fn presses_by(mut self, at_s: f64, keys: &str, way: DigitWay) -> Self {
        for (n, key) in (0..).zip(keys.chars()) {
            let at = ms(at_s) + n * 100;
            self.acts.push((at, Act::Key("K".to_owned(), key, way)));
        }
        self
    }

    /// K speaks; this much is understood so far.
    pub(crate) fn says(self, at_s: f64, so_far: &str) -> Self {
        let news = SpeechNews::Partial(so_far.to_owned());
        self.understood(at_s, news)
    }

    /// The recognizer detects the end of K's speech.
    pub(crate) fn has_said(self, at_s: f64, text: &str) -> Self {
        let news = SpeechNews::Final {
            text: text.to_owned(),
            confidence: Some(Confidence::new(0.75)),
        };
        self.understood(at_s, news)
    }

    /// The recognizer reports K's speech.
    pub(crate) fn understood(self, at_s: f64, news: SpeechNews) -> Self {
        self.act(at_s, Act::Understood("K".to_owned(), news))
    }

    pub(crate) fn recognizer(mut self, recognizer: Recognizer) -> Self {
        self.recognizer = recognizer;
        self
    }

    pub(crate) fn completes(self, at_s: f64, party: &str) -> Self {
        self.act(at_s, Act::Rest(party.to_owned(), Modify::Complete))
    }

    /// The API requests a change of a party's call.
    pub(crate) fn asks(self, at_s: f64, party: &str, modify: Modify) -> Self {
        self.act(at_s, Act::Rest(party.to_owned(), modify))
    }

    /// The API makes a party run the document at this path.
    pub(crate) fn redirects(self, at_s: f64, party: &str, path: &str, both: bool) -> Self {
        self.act(at_s, Act::Rest(party.to_owned(), redirect_to(path, both)))
    }

    /// The API redirects a party.
    pub(crate) fn redirects_with(self, at_s: f64, party: &str, redirect: Redirect) -> Self {
        self.act(
            at_s,
            Act::Rest(party.to_owned(), Modify::Redirect(Box::new(redirect))),
        )
    }

    /// A header of K's INVITE.
    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        self.caller
            .headers
            .push((name.to_owned(), value.to_owned()));
        self
    }

    /// Changes the content of the directory.
    pub(crate) fn with(mut self, change: impl FnOnce(&mut Directory)) -> Self {
        change(&mut self.directory);
        self
    }

    /// K is a client of the account and knows its password.
    pub(crate) fn kim_is_client(self) -> Self {
        let mut world = self.with(|directory| directory.clients.push(client("kim")));
        world.caller.knows_password = true;
        world
    }

    /// The status callback of K's number.
    pub(crate) fn number_callback(self, url: &str) -> Self {
        self.with(|directory| directory.numbers[0].0.status_callback = Some(url.to_owned()))
    }

    pub(crate) fn dialect(mut self, dialect: Dialect) -> Self {
        self.dialect = dialect;
        self
    }

    /// Plays the scene, and records broken rules.
    pub(crate) fn play(self) -> Run {
        run::play(&self)
    }

    /// Plays the scene, checks the rules, and replays the stored journal.
    ///
    /// # Panics
    /// With the log, if a rule was broken or the replay differs.
    pub(crate) fn run(self) -> Run {
        let mut run = self.play();
        assert!(run.broken.is_empty(), "broken rules: {:#?}", run.broken);
        run.replay_stored();
        run
    }
}

/// A document from an address, without a fallback.
pub(crate) fn document_at(url: &str) -> Document {
    Document {
        url: url.to_owned(),
        method: HttpMethod::Get,
        author: directory::account(1),
        text: None,
        fallback: None,
        set_in: SetIn::Number,
    }
}

/// The API request that makes a call run the document at this path.
pub(crate) fn redirect_to(path: &str, both: bool) -> Modify {
    Modify::Redirect(Box::new(Redirect {
        document: Document {
            method: HttpMethod::Post,
            set_in: SetIn::Request,
            ..document_at(&format!("http://app{path}"))
        },
        status_callback: None,
        only_in: None,
        move_connected_leg: both,
        dialect: None,
    }))
}

/// A callback by POST.
pub(crate) fn callback_to(url: &str) -> CallbackTarget {
    CallbackTarget {
        url: url.to_owned(),
        method: HttpMethod::Post,
        author: directory::account(1),
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "times of tests are small and positive"
)]
pub(crate) fn ms(seconds: f64) -> u64 {
    (seconds * 1_000.0).round() as u64
}
