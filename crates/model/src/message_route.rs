//! Routes of text messages to the outside: rows that say which messages leave where.

use serde::{Deserialize, Serialize};

use crate::status::words;
use crate::{AccountSid, MessageRouteSid, Timestamp};

words!(
    /// How a route sends.
    RouteKind {
        /// Through an SMPP link of its own.
        Smpp = "smpp",
        /// By SIP MESSAGE through a trunk.
        Sip = "sip",
        /// By a request to an HTTP provider.
        Http = "http",
        /// By SIP MESSAGE to the phones of the client whose login is the recipient.
        Client = "client",
    }
);

words!(
    /// What an SMPP session is for.
    BindMode {
        /// Sends.
        Transmitter = "transmitter",
        /// Receives.
        Receiver = "receiver",
        /// Both.
        Transceiver = "transceiver",
    }
);

words!(
    /// An alphabet and how it is written.
    Encoding {
        /// GSM 7-bit default alphabet, one septet per octet, as most SMSCs want it; `data_coding` 0.
        Gsm = "gsm",
        /// The same, packed: eight septets in seven octets.
        GsmPacked = "gsm-packed",
        /// ISO 8859-1; `data_coding` 3.
        Latin1 = "latin1",
        /// UTF-16, big endian; `data_coding` 8.
        Ucs2 = "ucs2",
    }
);

words!(
    /// How a text that is too long for one short message is sent.
    Concatenation {
        /// Segments with a user data header and an 8-bit reference number.
        Udh8 = "udh8",
        /// The same with a 16-bit reference number.
        Udh16 = "udh16",
        /// Segments with the optional parameters `sar_…`.
        Sar = "sar",
        /// One PDU with `message_payload`: the SMSC divides it.
        Payload = "payload",
    }
);

words!(
    /// In which base an SMSC writes its identifiers of messages.
    IdBase {
        /// The same in `submit_sm_resp` and receipts, or else any of the two below.
        Any = "any",
        /// The same in both.
        Same = "same",
        /// Hexadecimal in `submit_sm_resp`, decimal in receipts.
        HexDecimal = "hex-decimal",
        /// Decimal in `submit_sm_resp`, hexadecimal in receipts.
        DecimalHex = "decimal-hex",
    }
);

words!(
    /// What happens to a message when it is not known whether the provider accepted it.
    OnDoubt {
        /// It is sent again, and may arrive twice.
        Resend = "resend",
        /// It fails, and may have arrived all the same.
        Fail = "fail",
    }
);

/// A route of text messages.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MessageRoute {
    /// Identifier.
    pub sid: MessageRouteSid,
    /// Its messages are those of this account and of all below it.
    pub account: AccountSid,
    /// Display name.
    pub name: String,
    /// Whether it is used.
    pub enabled: bool,
    /// Of several routes, the one with the lowest number is tried first.
    pub priority: i64,
    /// Beginning of the senders; empty for all.
    pub from_prefix: String,
    /// Beginning of the recipients, without `+`; empty for all.
    pub to_prefix: String,
    /// Price of a segment in 1/100 000 of a US dollar.
    pub price: i64,
    /// What happens when it is not known whether the provider accepted a message.
    pub on_doubt: OnDoubt,
    /// How it sends.
    pub settings: RouteSettings,
    /// Password of the SMPP login, or key of the HTTP signatures. Stored sealed.
    pub secret: Option<String>,
    /// When it was created.
    pub created: Timestamp,
    /// When it was last changed.
    pub updated: Timestamp,
}

impl MessageRoute {
    /// How it sends.
    #[must_use]
    pub const fn kind(&self) -> RouteKind {
        match self.settings {
            RouteSettings::Smpp(_) => RouteKind::Smpp,
            RouteSettings::Sip(_) => RouteKind::Sip,
            RouteSettings::Http(_) => RouteKind::Http,
            RouteSettings::Client => RouteKind::Client,
        }
    }
}

/// How a route sends.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RouteSettings {
    /// Through an SMPP link.
    Smpp(SmppSettings),
    /// Through a trunk.
    Sip(SipSettings),
    /// By HTTP.
    Http(HttpSettings),
    /// To the phones of a client.
    Client,
}

/// A trunk for text messages.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SipSettings {
    /// Put in front of the recipient.
    pub prefix: String,
}

/// An HTTP provider.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HttpSettings {
    /// Where messages are posted.
    pub url: String,
}

/// An SMPP link.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct SmppSettings {
    /// Name or address of the SMSC.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// Whether the connection is encrypted.
    pub tls: bool,
    /// What the session is for.
    pub bind: BindMode,
    /// Login.
    pub system_id: String,
    /// `system_type`.
    pub system_type: String,
    /// `service_type` of messages.
    pub service_type: String,
    /// `interface_version`: 0x33, 0x34 or 0x50.
    pub version: u8,
    /// Requests without a response at a time.
    pub window: u16,
    /// Short messages per second; 0: no limit.
    pub per_second: u32,
    /// Type of number and numbering plan of senders; `None`: by their form.
    pub source: Option<(u8, u8)>,
    /// Type of number and numbering plan of recipients; `None`: by their form.
    pub destination: Option<(u8, u8)>,
    /// Alphabet of the texts that it can write; others are sent in UCS-2.
    pub encoding: Encoding,
    /// `data_coding` of that alphabet, if it is not the usual one.
    pub data_coding: Option<u8>,
    /// What the SMSC means by `data_coding` 0 in what it sends.
    pub inbound_encoding: Encoding,
    /// For long texts.
    pub concatenation: Concatenation,
    /// Base of the SMSC's identifiers.
    pub id_base: IdBase,
    /// Whether receipts are requested.
    pub receipts: bool,
    /// Seconds without a PDU after which the connection is checked.
    pub enquire_s: u32,
    /// Seconds that a response may take.
    pub response_s: u32,
    /// Optional parameters of every message: tag, and value in hexadecimal digits.
    pub tlvs: Vec<(u16, String)>,
}

impl Default for SmppSettings {
    fn default() -> Self {
        Self {
            host: String::new(),
            port: 2775,
            tls: false,
            bind: BindMode::Transceiver,
            system_id: String::new(),
            system_type: String::new(),
            service_type: String::new(),
            version: 0x34,
            window: 10,
            per_second: 0,
            source: None,
            destination: None,
            encoding: Encoding::Gsm,
            data_coding: None,
            inbound_encoding: Encoding::Gsm,
            concatenation: Concatenation::Udh8,
            id_base: IdBase::Any,
            receipts: true,
            enquire_s: 30,
            response_s: 10,
            tlvs: Vec::new(),
        }
    }
}

/// What is known of a message that leaves by a route.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Forwarding {
    /// End of its validity period: it is given up then.
    pub expires: Timestamp,
    /// When the next attempt is due.
    pub due: Timestamp,
    /// How often it was given to a provider.
    pub attempts: i64,
    /// How often it was not known whether the provider had accepted it: so often it may have been sent
    /// more than once.
    pub doubts: i64,
    /// Number of short messages that it takes.
    pub segments: i64,
    /// Route that took it last.
    pub route: Option<MessageRouteSid>,
    /// The provider's identifier of it, or of its first segment.
    pub provider_id: Option<String>,
    /// What it cost, in 1/100 000 of a US dollar; `None` until a provider accepted it.
    pub price: Option<i64>,
}

/// What a route has done since the server started, and how it is now.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct RouteHealth {
    /// Whether messages can leave by it now.
    pub is_up: bool,
    /// Why it is not, or was not the last time.
    pub problem: Option<String>,
    /// Messages that wait for it or are underway.
    pub depth: usize,
    /// Messages given to the provider.
    pub submitted: u64,
    /// Messages that it accepted.
    pub accepted: u64,
    /// Messages that it refused for good.
    pub refused: u64,
    /// Messages that it could not take at the time.
    pub unavailable: u64,
    /// Messages of which it is not known whether it accepted them.
    pub doubtful: u64,
    /// How often it asked for a slower pace.
    pub throttled: u64,
    /// Receipts that were about one of our messages.
    pub receipts: u64,
    /// Receipts that were not.
    pub unknown_receipts: u64,
    /// Texts that came from it.
    pub arrived: u64,
}
