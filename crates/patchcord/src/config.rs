//! Every setting of the server: declared once below, read once at start.
//!
//! One list gives the struct, the defaults, the parser and `docs/config.md`. Later sources win:
//! default, file, environment, flags. **Invariant: a [`Config`] that exists is usable; a key that
//! does not exist or a value that cannot be used stops the start with its name and the reason**,
//! all of them at once. Turning settings into those of each crate is left to `serve`.

mod document;
mod role;
mod setting;
mod siprec;
mod source;
mod trunk;
mod weak;

use std::net::{IpAddr, SocketAddr};
use std::num::{NonZeroU16, NonZeroU32, NonZeroU64};
use std::path::PathBuf;

use model::AccountSid;
use model::source::Network;

pub(crate) use document::render as document;
pub(crate) use document::template;
pub(crate) use role::Role;
pub(crate) use setting::{
    CommandLine, Domain, Email, HttpAddress, LogFormat, LogLevel, MailSecurity, MediaBytes, Origin,
    PortRange, Secret, Sender, Text,
};
pub(crate) use siprec::Siprec;
pub(crate) use source::{Flags, load};
pub(crate) use trunk::Trunk;

use setting::Setting;

/// The declaration of one key.
struct Key {
    section: &'static str,
    name: &'static str,
    /// The form of a value, for the documentation.
    kind: &'static str,
    /// Default as text; empty for none.
    default: &'static str,
    /// Whether it may also be read from a file, named by the key with the suffix `_file`.
    secret: bool,
    doc: &'static str,
}

/// Why a value was refused, in words, without the name of the key.
type Reason = String;

macro_rules! settings {
    ($(
        $(#[doc = $section_doc:literal])+
        $section:ident: $Section:ident {
            $($(#[doc = $doc:literal])+ $key:ident: $kind:ty = $default:literal,)+
        }
    )+) => {
        $(
            $(#[doc = $section_doc])+
            #[derive(Clone, Debug)]
            pub(crate) struct $Section { $($(#[doc = $doc])+ pub(crate) $key: $kind,)+ }
        )+

        /// All settings.
        #[derive(Clone, Debug)]
        pub(crate) struct Config {
            $($(#[doc = $section_doc])+ pub(crate) $section: $Section,)+
            /// Providers that calls come from and go to; the first takes calls to numbers.
            pub(crate) trunks: Vec<Trunk>,
            /// Recording servers that documents may name.
            pub(crate) recorders: Vec<Siprec>,
            /// Roles besides the built-in ones.
            pub(crate) roles: Vec<Role>,
        }

        impl Config {
            fn defaults() -> Result<Self, Reason> {
                Ok(Self {
                    $($section: $Section { $($key: <$kind as Setting>::read($default)?,)+ },)+
                    trunks: Vec::new(),
                    recorders: Vec::new(),
                    roles: Vec::new(),
                })
            }

            /// Sets a key that exists.
            fn set(&mut self, section: &str, key: &str, text: &str) -> Result<(), Reason> {
                match (section, key) {
                    $($((stringify!($section), stringify!($key)) => {
                        self.$section.$key = <$kind as Setting>::read(text)?;
                    })+)+
                    _ => return Err("no such key".to_owned()),
                }
                Ok(())
            }
        }

        /// Every key, in order of declaration.
        const KEYS: &[Key] = &[$($(Key {
            section: stringify!($section),
            name: stringify!($key),
            kind: <$kind as Setting>::KIND,
            default: $default,
            secret: <$kind as Setting>::SECRET,
            doc: concat!($($doc),+),
        },)+)+];

        /// Every section with its description.
        const SECTIONS: &[(&str, &str)] =
            &[$((stringify!($section), concat!($($section_doc),+)),)+];
    };
}

settings! {
    /// Where the server listens and keeps its data.
    server: Server {
        /// Folder for everything that must survive a restart; created if missing.
        data: PathBuf = "./patchcord-data",
        /// Address of the API; port 0 means any free port.
        http: SocketAddr = "127.0.0.1:8080",
        /// Address of SIP over UDP and TCP; port 0 means any free port.
        sip: SocketAddr = "0.0.0.0:5060",
        /// Address of `/metrics`. Unset: `127.0.0.1:9090`, or a free port if that is taken.
        metrics: Option<SocketAddr> = "",
        /// Seconds that calls may continue after the first SIGTERM or SIGINT before they get BYE. 0: no limit; a second signal still ends them.
        drain_s: u32 = "570",
        /// SIP domain and digest realm. Used only while the database is empty, that is, at the first start: the passwords of clients are bound to it.
        domain: Domain = "patchcord",
        /// Address at which phones and trunks reach the server when it is behind NAT.
        public_address: Option<IpAddr> = "",
        /// Key for stored secrets, 64 hexadecimal digits. Unset: generated once and kept in the data folder.
        secret_key: Option<Secret> = "",
        /// For a developer's machine (`--dev`): e-mail is not sent but kept in memory, unless `mail.server` is set. `/dev/mail` shows it to browsers on this machine, without credentials.
        dev: bool = "false",
    }

    /// HTTP: the API, recordings and health checks.
    http: Http {
        /// Maximum number of connections at once; a further one replaces an idle one, or is closed if there is none. Unset: an eighth of the file descriptors that the process may have (`ulimit -n`), from 16 to 4096; the rest are kept for calls and the database.
        max_connections: Option<NonZeroU32> = "",
        /// Maximum number of connections at once from one address, or from one /64 network of IPv6. Unset: a quarter of `max_connections`, and at least 8.
        max_connections_per_address: Option<NonZeroU32> = "",
        /// Maximum number of API requests of one account in a minute; further ones get 429. 0: no limit.
        max_requests_per_minute: u32 = "12000",
        /// As `max_requests_per_minute`, for each token or password of the account.
        max_requests_per_minute_per_credential: u32 = "6000",
        /// Addresses and networks of reverse proxies. A request from one of them counts as coming from the last address in its `X-Forwarded-For` (or `Forwarded`) that is not a trusted proxy. From any other address these headers are ignored.
        trusted_proxies: Vec<Network> = "",
        /// Origins of web pages, such as `https://console.example`, whose scripts may use the API from a browser and read its answers (CORS). The scripts need credentials all the same.
        allowed_origins: Vec<Origin> = "",
    }

    /// The top account; used only while the database is empty, that is, at the first start. The SID, token and password are generated if they are not set.
    admin: Admin {
        /// SID of the account.
        sid: Option<AccountSid> = "",
        /// API token. It should be random text of at least 16 characters; the server warns about a weaker one.
        token: Option<Secret> = "",
        /// E-mail address, also a login for the API.
        email: Email = "administrator@localhost",
        /// Password. It should be as long and random as the token.
        password: Option<Secret> = "",
    }

    /// The log, on standard error.
    log: Log {
        /// A level (`error`, `warn`, `info`, `debug`, `trace`) or directives such as `info,sip=debug`.
        level: LogLevel = "info",
        /// `human` or `json`.
        format: LogFormat = "human",
    }

    /// SIP: registrations, calls and messages.
    sip: Sip {
        /// Challenge with SHA-256 in addition to MD5. Many deployed phones fail if it is offered.
        sha256: bool = "false",
        /// Lifetime of a digest nonce in seconds.
        nonce_lifetime_s: NonZeroU32 = "300",
        /// Seconds between OPTIONS requests to each registered phone; a phone that has answered before and then stops answering is unregistered. 0: none are sent.
        keepalive_s: u32 = "60",
        /// Allow every account to call and message SIP addresses in private networks and on this machine. The top account always may; registered phones and trunks can be anywhere.
        allow_private: bool = "false",
        /// Maximum number of inbound calls in set-up at once; further ones get 503.
        max_calls_in_setup: NonZeroU32 = "1000",
        /// Maximum number of calls at once from one address (IPv6: one /64), if their callers are neither trunks nor clients; further ones get 503.
        max_calls_per_source: NonZeroU32 = "100",
        /// As `max_calls_per_source`, but counting only calls that are not confirmed by an ACK yet.
        max_unconfirmed_per_source: NonZeroU32 = "50",
    }

    /// Media, which is carried by RTP.
    media: Media {
        /// Address that RTP sockets are bound to. Unset: the address of `server.sip`.
        address: Option<IpAddr> = "",
        /// Address sent in SDP. Unset: `server.public_address`, or the local address that reaches the remote party.
        advertised: Option<IpAddr> = "",
        /// Range of UDP ports, or `any` to let the system choose.
        ports: PortRange = "10000-20000",
        /// Worker threads. Unset: one per core.
        workers: Option<NonZeroU32> = "",
        /// Seconds without RTP and RTCP after which a call that is not on hold is ended.
        silence_timeout_s: NonZeroU32 = "60",
    }

    /// Speech recognition for `<Gather input="speech">`, `<ConversationRelay>` and `<Transcription>`.
    speech: Speech {
        /// Program that recognizes speech, with its arguments, separated by spaces; operating.md describes its input and output. Unset: speech is not recognized.
        recognizer: Option<CommandLine> = "",
        /// Maximum number of recognizers at once; the speech of further callers is not recognized.
        max_recognizers: NonZeroU32 = "32",
    }

    /// Requests to applications and for media files.
    fetch: Fetch {
        /// Time limit in milliseconds. For a document: the whole fetch, including redirects. For a stream: connecting and the WebSocket handshake.
        /// For callbacks and sound files: connecting and receiving the response headers, again for each redirect. The body of a sound file may
        /// then take ten times as long, if no pause in it is longer than the limit. A document, callback or sound file never takes longer than 60 s in all.
        timeout_ms: NonZeroU64 = "6000",
        /// Allow every account to use addresses of private networks and of this machine. The top account always may.
        allow_private: bool = "false",
        /// Addresses that every account may use as exceptions, for SIP too: link-local, cloud metadata, private ones or this machine's.
        allow_addresses: Vec<IpAddr> = "",
        /// Largest document, in bytes.
        max_document_bytes: NonZeroU64 = "1048576",
        /// Largest media file, in bytes.
        max_media_bytes: MediaBytes = "20971520",
        /// Memory in bytes for media files being fetched and decoded at the same time; a file needs about five times its size.
        /// A file that has to wait for more than ten seconds is not played (13233).
        media_memory_bytes: NonZeroU64 = "268435456",
        /// How much of that memory one customer can use, in bytes: an account directly below the top account, with its sub-accounts.
        media_memory_per_account_bytes: NonZeroU64 = "134217728",
    }

    /// Callbacks: how often and for how long they are retried.
    webhooks: Webhooks {
        /// Milliseconds to wait after the first failure of a callback; the wait doubles with each further failure.
        first_wait_ms: NonZeroU64 = "1000",
        /// Maximum wait in seconds, even if the application asks for more.
        longest_wait_s: NonZeroU32 = "300",
        /// Age in seconds at which a callback that still fails is given up.
        max_age_s: NonZeroU32 = "86400",
        /// Failures in a row that open the circuit breaker of a host.
        breaker_failures: NonZeroU32 = "5",
        /// Milliseconds that an open breaker waits before one request probes the host; the wait doubles with each failed probe.
        breaker_wait_ms: NonZeroU64 = "10000",
        /// Maximum wait of an open breaker in seconds.
        breaker_longest_s: NonZeroU32 = "60",
    }

    /// Outgoing e-mail: `<Email>` in documents, and the API.
    mail: Mail {
        /// Name or IPv4 address of the mail server. Unset: no e-mail is sent; with `server.dev`, it is kept for `/dev/mail`.
        server: Option<Domain> = "",
        /// Its port. Unset: 465 if `security` is `tls`, otherwise 587.
        port: Option<NonZeroU16> = "",
        /// `tls` (from the first byte), `starttls` (nothing is sent without it), `opportunistic` (STARTTLS if the server offers it) or `none`. Unset: `tls` if `port` is 465, otherwise `starttls`.
        security: Option<MailSecurity> = "",
        /// File with a certificate (PEM) that is trusted besides those of the system.
        ca: Option<PathBuf> = "",
        /// User name, if the mail server requires one.
        username: Option<Text> = "",
        /// Password of `username`.
        password: Option<Secret> = "",
        /// Addresses and domains, separated by commas, in whose name accounts may send. Unset: any.
        senders: Vec<Sender> = "",
        /// Address that mail servers send their reports to (`MAIL FROM`). Unset: the sender of each e-mail.
        bounces_to: Option<Email> = "",
        /// Maximum number of connections to the mail server.
        max_connections: NonZeroU32 = "4",
        /// Largest recording that is attached, in bytes.
        max_attachment_bytes: NonZeroU64 = "20971520",
        /// Attach recordings as MP3 if the program `lame` or `ffmpeg` is installed; otherwise they are attached as WAV.
        mp3: bool = "true",
        /// Seconds to wait after the mail server could not accept an e-mail; the wait doubles with each further failure.
        first_wait_s: NonZeroU32 = "5",
        /// Maximum wait in seconds.
        longest_wait_s: NonZeroU32 = "900",
        /// Age in seconds at which an e-mail that still cannot be sent is given up.
        max_age_s: NonZeroU32 = "259200",
    }

    /// Where records are stored.
    database: Database {
        /// Address of the database: `sqlite:PATH` or `postgres://USER:PASSWORD@HOST/NAME`. Unset: SQLite in the data folder.
        url: Option<Secret> = "",
    }

    /// Phone numbers for sale.
    numbers: Numbers {
        /// Address of a carrier that sells numbers; numbers.md describes the requests to it. Unset: the numbers that `patchcord numbers import` has stored are for sale.
        carrier_url: Option<HttpAddress> = "",
        /// Secret that signs the requests to the carrier.
        carrier_secret: Option<Secret> = "",
    }

    /// Links to recordings; they need no credentials.
    recordings: Recordings {
        /// Seconds after which a link to a recording expires; the recording itself stays. 0: never. Once it is set, links made without an expiry no longer work.
        link_lifetime_s: u32 = "0",
    }

    /// How long data is kept.
    retention: Retention {
        /// Days that deleted numbers, recordings and gateways stay in the bin before they are permanently deleted. 0: they are permanently deleted within a minute.
        bin_days: u32 = "30",
        /// Days that the texts of messages are kept, unless an account has set a time of its own. 0: forever.
        message_bodies_days: u32 = "0",
        /// As `message_bodies_days`, for pressed keys: all traces and journals are removed, and callbacks with a parameter `Digits`. 0: keys are kept as long as these.
        digits_days: u32 = "0",
        /// As `message_bodies_days`, for the files of recordings and their transcriptions.
        recordings_days: u32 = "0",
        /// As `message_bodies_days`, for traces and journals.
        traces_days: u32 = "0",
        /// As `message_bodies_days`, for notifications.
        notifications_days: u32 = "0",
        /// As `message_bodies_days`, for callbacks that are delivered or given up. 0: 7 days, which is also the longest time.
        callbacks_days: u32 = "0",
        /// As `message_bodies_days`, for the addresses, texts and attachments of e-mails.
        emails_days: u32 = "0",
    }

    /// Behaviour that existing applications may rely on.
    compat: Compat {
        /// Show the digest of a client's password (HA1) as `password` in API responses. Anyone who has it can log in as the client.
        show_client_digests: bool = "false",
        /// Send the word `null` for an unknown caller name or diversion.
        null_strings: bool = "false",
        /// End the caller's leg too when a screened party declines or does not decide within a minute,
        /// or when its document cannot be used.
        screening_releases_both: bool = "false",
    }
}

/// Names in the environment besides `PATCHCORD_SECTION__KEY`.
const SHORT_NAMES: &[(&str, &str, &str)] = &[
    ("PATCHCORD_ADMIN_SID", "admin", "sid"),
    ("PATCHCORD_ADMIN_TOKEN", "admin", "token"),
    ("PATCHCORD_ADMIN_EMAIL", "admin", "email"),
    ("PATCHCORD_ADMIN_PASSWORD", "admin", "password"),
    ("PATCHCORD_DOMAIN", "server", "domain"),
    ("PATCHCORD_SECRET_KEY", "server", "secret_key"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_default_can_be_used_and_set_again() {
        let mut config = Config::defaults().unwrap();
        for key in KEYS {
            let result = config.set(key.section, key.name, key.default);
            assert_eq!(result, Ok(()), "{}.{}", key.section, key.name);
        }
    }

    #[test]
    fn every_short_name_is_a_key() {
        for (name, section, key) in SHORT_NAMES {
            let found = KEYS
                .iter()
                .any(|known| known.section == *section && known.name == *key);
            assert!(found, "{name}");
        }
    }
}
