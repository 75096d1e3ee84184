//! The PDUs that an ESME sends and receives (§4).

use std::fmt;

pub use model::message_route::BindMode;

/// Tag of the TLV that holds a text of any length (§5.3.2.32).
pub const MESSAGE_PAYLOAD: u16 = 0x0424;
/// Tag of the identifier of the message that a receipt is about (§5.3.2.12).
pub const RECEIPTED_MESSAGE_ID: u16 = 0x001E;
/// Tag of the state of the message that a receipt is about (§5.3.2.35).
pub const MESSAGE_STATE: u16 = 0x0427;
/// Tag of the error of the message that a receipt is about (§5.3.2.31).
pub const NETWORK_ERROR_CODE: u16 = 0x0423;
/// Tag of the reference number of concatenated segments (§5.3.2.22).
pub const SAR_MSG_REF_NUM: u16 = 0x020C;
/// Tag of the number of segments (§5.3.2.23).
pub const SAR_TOTAL_SEGMENTS: u16 = 0x020E;
/// Tag of the number of a segment, from 1 (§5.3.2.24).
pub const SAR_SEGMENT_SEQNUM: u16 = 0x020F;

/// Bit of `esm_class`: the text begins with a user data header (§5.2.12).
pub const UDHI: u8 = 0x40;

/// One PDU.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Pdu {
    /// `command_status`: 0 in requests and in positive responses.
    pub status: u32,
    /// `sequence_number`: a response has that of its request.
    pub sequence: u32,
    /// What it is.
    pub body: Body,
}

/// What a PDU is. Responses with an error may have no body on the wire; its fields are then empty.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Body {
    /// `bind_transmitter`, `bind_receiver` or `bind_transceiver`.
    Bind(Bind),
    /// Its response, with the SMSC's identifier.
    BindResp(BindMode, String),
    /// `submit_sm`.
    Submit(Box<ShortMessage>),
    /// `submit_sm_resp`, with the SMSC's identifier of the message.
    SubmitResp(String),
    /// `deliver_sm`.
    Deliver(Box<ShortMessage>),
    /// `deliver_sm_resp`.
    DeliverResp,
    /// `data_sm`: a short message of which only some fields are set.
    Data(Box<ShortMessage>),
    /// `data_sm_resp`.
    DataResp(String),
    /// `enquire_link`.
    EnquireLink,
    /// `enquire_link_resp`.
    EnquireLinkResp,
    /// `unbind`.
    Unbind,
    /// `unbind_resp`.
    UnbindResp,
    /// `generic_nack`.
    GenericNack,
    /// Another command, by its `command_id`.
    Other(u32),
}

/// A request to bind. The password is not shown by `Debug`.
#[derive(Clone, PartialEq, Eq)]
pub struct Bind {
    /// What for.
    pub mode: BindMode,
    /// Login, at most 15 bytes.
    pub system_id: String,
    /// Password, at most 8 bytes by the specification; longer ones are in use.
    pub password: String,
    /// Kind of the ESME, at most 12 bytes.
    pub system_type: String,
    /// 0x34 for version 3.4.
    pub version: u8,
    /// Addresses that it serves: type of number, numbering plan, and a pattern.
    pub range: Address,
}

impl fmt::Debug for Bind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bind")
            .field("mode", &self.mode)
            .field("system_id", &self.system_id)
            .finish_non_exhaustive()
    }
}

/// An address with its type of number and numbering plan (§5.2.5, §5.2.6).
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Address {
    /// Type of number: 1 international, 5 alphanumeric.
    pub ton: u8,
    /// Numbering plan: 1 E.164.
    pub npi: u8,
    /// Digits, or letters.
    pub digits: String,
}

/// The body of `submit_sm` and `deliver_sm` (§4.4.1, §4.6.1).
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct ShortMessage {
    /// `service_type`.
    pub service_type: String,
    /// Sender.
    pub source: Address,
    /// Recipient.
    pub destination: Address,
    /// Mode, type and features.
    pub esm_class: u8,
    /// `protocol_id`.
    pub protocol_id: u8,
    /// `priority_flag`.
    pub priority: u8,
    /// `schedule_delivery_time`, empty: at once.
    pub schedule: String,
    /// `validity_period`, empty: as the SMSC likes.
    pub validity: String,
    /// `registered_delivery`: 1 requests a receipt.
    pub registered: u8,
    /// `replace_if_present_flag`.
    pub replace: u8,
    /// Alphabet of the text (§5.2.19).
    pub data_coding: u8,
    /// `short_message`, at most 254 bytes.
    pub text: Vec<u8>,
    /// Optional parameters, in order.
    pub tlvs: Vec<Tlv>,
}

/// An optional parameter.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Tlv {
    /// Which parameter.
    pub tag: u16,
    /// Its bytes.
    pub value: Vec<u8>,
}

impl ShortMessage {
    /// The value of an optional parameter.
    #[must_use]
    pub fn tlv(&self, tag: u16) -> Option<&[u8]> {
        let found = self.tlvs.iter().find(|tlv| tlv.tag == tag)?;
        Some(&found.value)
    }

    /// The text's bytes, wherever they are: `message_payload` wins over `short_message`.
    #[must_use]
    pub fn content(&self) -> &[u8] {
        match self.tlv(MESSAGE_PAYLOAD) {
            Some(payload) if self.text.is_empty() => payload,
            Some(_) | None => &self.text,
        }
    }

    /// Whether its content begins with a user data header.
    #[must_use]
    pub const fn has_header(&self) -> bool {
        self.esm_class & UDHI != 0
    }

    /// Bits 2 to 5 of `esm_class`: 0 for a message, 1 for a receipt, 8 for an intermediate notification.
    #[must_use]
    pub const fn kind(&self) -> u8 {
        (self.esm_class >> 2) & 0x0F
    }
}
