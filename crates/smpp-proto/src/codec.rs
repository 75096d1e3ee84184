//! PDUs as bytes (§3.2).
//!
//! Reading is tolerant where real SMSCs deviate: strings may be longer than specified or miss their
//! final NUL at the end of the PDU, an error response may have no body, and a truncated optional parameter
//! ends the list. **Invariant: no input makes it panic, and a body that cannot be read does not lose the
//! boundary of the next PDU.**

use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};

use crate::pdu::{Address, Bind, BindMode, Body, Pdu, ShortMessage, Tlv};

/// `command_length`, `command_id`, `command_status`, `sequence_number`.
const HEADER: usize = 16;
/// Longest PDU accepted: a `message_payload` of 64 KiB and everything around it.
const MAX_PDU: usize = 70_000;
/// Bit of `command_id` in responses.
const RESPONSE: u32 = 0x8000_0000;

const BIND_RECEIVER: u32 = 1;
const BIND_TRANSMITTER: u32 = 2;
const SUBMIT_SM: u32 = 4;
const DELIVER_SM: u32 = 5;
const UNBIND: u32 = 6;
const BIND_TRANSCEIVER: u32 = 9;
const ENQUIRE_LINK: u32 = 0x15;
const DATA_SM: u32 = 0x103;
const GENERIC_NACK: u32 = RESPONSE;

/// Why bytes are not a PDU.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PduError {
    /// The stream cannot be read any further: the connection must be closed.
    #[error("the length of a PDU is {0} bytes")]
    Length(usize),
    /// This PDU cannot be read, the next one can.
    #[error("the body of the PDU with command id {command:#010x} is malformed")]
    Body {
        /// Its `command_id`.
        command: u32,
        /// Its `sequence_number`.
        sequence: u32,
    },
}

/// Takes the next PDU from what was received; `None` if it is not complete yet.
///
/// # Errors
/// [`PduError`]: after [`PduError::Body`] the PDU was skipped.
pub fn decode(received: &mut BytesMut) -> Result<Option<Pdu>, PduError> {
    let Some(length) = received.first_chunk::<4>() else {
        return Ok(None);
    };
    let length = u32::from_be_bytes(*length) as usize;
    if !(HEADER..=MAX_PDU).contains(&length) {
        return Err(PduError::Length(length));
    }
    if received.len() < length {
        return Ok(None);
    }
    let mut pdu = received.split_to(length).freeze();
    pdu.advance(4);
    let (command, status, sequence) = (pdu.get_u32(), pdu.get_u32(), pdu.get_u32());
    let body = body(command, pdu).ok_or(PduError::Body { command, sequence })?;
    Ok(Some(Pdu {
        status,
        sequence,
        body,
    }))
}

fn body(command: u32, mut from: Bytes) -> Option<Body> {
    let from = &mut from;
    Some(match command {
        BIND_RECEIVER => Body::Bind(bind(BindMode::Receiver, from)?),
        BIND_TRANSMITTER => Body::Bind(bind(BindMode::Transmitter, from)?),
        BIND_TRANSCEIVER => Body::Bind(bind(BindMode::Transceiver, from)?),
        SUBMIT_SM => Body::Submit(Box::new(short_message(from)?)),
        DELIVER_SM => Body::Deliver(Box::new(short_message(from)?)),
        DATA_SM => Body::Data(Box::new(data(from)?)),
        ENQUIRE_LINK => Body::EnquireLink,
        UNBIND => Body::Unbind,
        GENERIC_NACK => Body::GenericNack,
        _ if command & RESPONSE != 0 => match command & !RESPONSE {
            BIND_RECEIVER => Body::BindResp(BindMode::Receiver, string(from)),
            BIND_TRANSMITTER => Body::BindResp(BindMode::Transmitter, string(from)),
            BIND_TRANSCEIVER => Body::BindResp(BindMode::Transceiver, string(from)),
            SUBMIT_SM => Body::SubmitResp(string(from)),
            DELIVER_SM => Body::DeliverResp,
            DATA_SM => Body::DataResp(string(from)),
            ENQUIRE_LINK => Body::EnquireLinkResp,
            UNBIND => Body::UnbindResp,
            _ => Body::Other(command),
        },
        _ => Body::Other(command),
    })
}

fn bind(mode: BindMode, from: &mut Bytes) -> Option<Bind> {
    let (system_id, password, system_type) = (string(from), string(from), string(from));
    let version = byte(from)?;
    Some(Bind {
        mode,
        system_id,
        password,
        system_type,
        version,
        range: address(from)?,
    })
}

fn short_message(from: &mut Bytes) -> Option<ShortMessage> {
    let mut message = ShortMessage {
        service_type: string(from),
        source: address(from)?,
        destination: address(from)?,
        esm_class: byte(from)?,
        protocol_id: byte(from)?,
        priority: byte(from)?,
        schedule: string(from),
        validity: string(from),
        registered: byte(from)?,
        replace: byte(from)?,
        data_coding: byte(from)?,
        ..ShortMessage::default()
    };
    byte(from)?; // sm_default_msg_id
    let length = usize::from(byte(from)?);
    if from.len() < length {
        return None;
    }
    message.text = from.split_to(length).to_vec();
    message.tlvs = tlvs(from);
    Some(message)
}

fn data(from: &mut Bytes) -> Option<ShortMessage> {
    let mut message = ShortMessage {
        service_type: string(from),
        source: address(from)?,
        destination: address(from)?,
        esm_class: byte(from)?,
        registered: byte(from)?,
        data_coding: byte(from)?,
        ..ShortMessage::default()
    };
    message.tlvs = tlvs(from);
    Some(message)
}

fn address(from: &mut Bytes) -> Option<Address> {
    Some(Address {
        ton: byte(from)?,
        npi: byte(from)?,
        digits: string(from),
    })
}

fn tlvs(from: &mut Bytes) -> Vec<Tlv> {
    let mut found = Vec::new();
    while from.len() >= 4 {
        let (tag, length) = (from.get_u16(), usize::from(from.get_u16()));
        if from.len() < length {
            break;
        }
        let value = from.split_to(length).to_vec();
        found.push(Tlv { tag, value });
    }
    found
}

fn byte(from: &mut Bytes) -> Option<u8> {
    from.has_remaining().then(|| from.get_u8())
}

/// A string up to its NUL, or to the end. Bytes beyond ASCII are taken as Latin-1.
fn string(from: &mut Bytes) -> String {
    let end = from.iter().position(|byte| *byte == 0);
    let text = from.split_to(end.unwrap_or(from.len()));
    if end.is_some() {
        from.advance(1);
    }
    text.iter().map(|byte| char::from(*byte)).collect()
}

/// Appends a PDU.
pub fn encode(pdu: &Pdu, to: &mut BytesMut) {
    let start = to.len();
    to.put_u32(0);
    to.put_u32(command_id(&pdu.body));
    to.put_u32(pdu.status);
    to.put_u32(pdu.sequence);
    match &pdu.body {
        Body::Bind(bind) => {
            put_string(to, &bind.system_id);
            put_string(to, &bind.password);
            put_string(to, &bind.system_type);
            to.put_u8(bind.version);
            put_address(to, &bind.range);
        }
        Body::Submit(message) | Body::Deliver(message) => put_short_message(to, message),
        Body::Data(message) => put_data(to, message),
        // A negative response has no body (§4.4.2).
        Body::BindResp(_, id) | Body::SubmitResp(id) | Body::DataResp(id) if pdu.status == 0 => {
            put_string(to, id);
        }
        Body::DeliverResp => to.put_u8(0), // The unused message_id.
        Body::BindResp(..)
        | Body::SubmitResp(_)
        | Body::DataResp(_)
        | Body::EnquireLink
        | Body::EnquireLinkResp
        | Body::Unbind
        | Body::UnbindResp
        | Body::GenericNack
        | Body::Other(_) => {}
    }
    let length = u32::try_from(to.len() - start).unwrap_or(u32::MAX);
    to[start..start + 4].copy_from_slice(&length.to_be_bytes());
}

const fn command_id(body: &Body) -> u32 {
    match body {
        Body::Bind(bind) => bind_id(bind.mode),
        Body::BindResp(mode, _) => bind_id(*mode) | RESPONSE,
        Body::Submit(_) => SUBMIT_SM,
        Body::SubmitResp(_) => SUBMIT_SM | RESPONSE,
        Body::Deliver(_) => DELIVER_SM,
        Body::DeliverResp => DELIVER_SM | RESPONSE,
        Body::Data(_) => DATA_SM,
        Body::DataResp(_) => DATA_SM | RESPONSE,
        Body::EnquireLink => ENQUIRE_LINK,
        Body::EnquireLinkResp => ENQUIRE_LINK | RESPONSE,
        Body::Unbind => UNBIND,
        Body::UnbindResp => UNBIND | RESPONSE,
        Body::GenericNack => GENERIC_NACK,
        Body::Other(command) => *command,
    }
}

const fn bind_id(mode: BindMode) -> u32 {
    match mode {
        BindMode::Receiver => BIND_RECEIVER,
        BindMode::Transmitter => BIND_TRANSMITTER,
        BindMode::Transceiver => BIND_TRANSCEIVER,
    }
}

fn put_short_message(to: &mut BytesMut, message: &ShortMessage) {
    put_string(to, &message.service_type);
    put_address(to, &message.source);
    put_address(to, &message.destination);
    to.put_u8(message.esm_class);
    to.put_u8(message.protocol_id);
    to.put_u8(message.priority);
    put_string(to, &message.schedule);
    put_string(to, &message.validity);
    to.put_u8(message.registered);
    to.put_u8(message.replace);
    to.put_u8(message.data_coding);
    to.put_u8(0); // sm_default_msg_id
    let text = &message.text[..message.text.len().min(254)];
    to.put_u8(u8::try_from(text.len()).unwrap_or(u8::MAX));
    to.put_slice(text);
    put_tlvs(to, &message.tlvs);
}

fn put_data(to: &mut BytesMut, message: &ShortMessage) {
    put_string(to, &message.service_type);
    put_address(to, &message.source);
    put_address(to, &message.destination);
    to.put_u8(message.esm_class);
    to.put_u8(message.registered);
    to.put_u8(message.data_coding);
    put_tlvs(to, &message.tlvs);
}

fn put_tlvs(to: &mut BytesMut, tlvs: &[Tlv]) {
    for tlv in tlvs {
        let length = u16::try_from(tlv.value.len()).unwrap_or(u16::MAX);
        to.put_u16(tlv.tag);
        to.put_u16(length);
        to.put_slice(&tlv.value[..usize::from(length)]);
    }
}

fn put_address(to: &mut BytesMut, address: &Address) {
    to.put_u8(address.ton);
    to.put_u8(address.npi);
    put_string(to, &address.digits);
}

/// A string with its NUL; a NUL inside ends it.
fn put_string(to: &mut BytesMut, text: &str) {
    let bytes = text.chars().take_while(|c| *c != '\0');
    to.extend(bytes.map(|c| u8::try_from(u32::from(c)).unwrap_or(b'?')));
    to.put_u8(0);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(pdu: &Pdu) -> BytesMut {
        let mut bytes = BytesMut::new();
        encode(pdu, &mut bytes);
        bytes
    }

    fn message() -> ShortMessage {
        ShortMessage {
            source: Address {
                ton: 5,
                npi: 0,
                digits: "Shop".to_owned(),
            },
            destination: Address {
                ton: 1,
                npi: 1,
                digits: "4915112345678".to_owned(),
            },
            esm_class: UDHI_AND_RECEIPT,
            validity: "000001000000000R".to_owned(),
            registered: 1,
            data_coding: 8,
            text: vec![0, 1, 2],
            tlvs: vec![Tlv {
                tag: 0x1403,
                value: b"x".to_vec(),
            }],
            ..ShortMessage::default()
        }
    }

    const UDHI_AND_RECEIPT: u8 = 0x44;

    #[test]
    fn what_is_written_is_read_again() {
        let bodies = [
            Body::Bind(Bind {
                mode: BindMode::Transceiver,
                system_id: "login".to_owned(),
                password: "secret".to_owned(),
                system_type: "sms".to_owned(),
                version: 0x34,
                range: Address::default(),
            }),
            Body::BindResp(BindMode::Transmitter, "smsc".to_owned()),
            Body::Submit(Box::new(message())),
            Body::Deliver(Box::new(message())),
            Body::Data(Box::new(ShortMessage {
                validity: String::new(),
                text: Vec::new(),
                ..message()
            })),
            Body::SubmitResp("1f".to_owned()),
            Body::DataResp("1f".to_owned()),
            Body::DeliverResp,
            Body::EnquireLink,
            Body::EnquireLinkResp,
            Body::Unbind,
            Body::UnbindResp,
            Body::GenericNack,
            Body::Other(0x102),
        ];
        for body in bodies {
            let pdu = Pdu {
                status: 0,
                sequence: 7,
                body,
            };
            let mut bytes = bytes(&pdu);
            assert_eq!(decode(&mut bytes), Ok(Some(pdu)));
            assert!(bytes.is_empty());
        }
    }

    #[test]
    fn real_smscs_are_understood() {
        // Command and body, and what they mean.
        let table: &[(u32, &[u8], Option<Body>)] = &[
            (
                SUBMIT_SM | RESPONSE,
                b"",
                Some(Body::SubmitResp(String::new())),
            ),
            (
                SUBMIT_SM | RESPONSE,
                b"abc",
                Some(Body::SubmitResp("abc".to_owned())),
            ),
            (
                SUBMIT_SM | RESPONSE,
                b"abc\0\x04\x24\0\x09\x01",
                Some(Body::SubmitResp("abc".to_owned())),
            ),
            (DELIVER_SM | RESPONSE, b"", Some(Body::DeliverResp)),
            (DELIVER_SM, b"\0\x01\x01", None),
            (DELIVER_SM, b"\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x05hi", None),
        ];
        for (command, body, expected) in table {
            let mut bytes = BytesMut::new();
            bytes.put_u32(16 + u32::try_from(body.len()).unwrap());
            bytes.put_u32(*command);
            bytes.put_slice(&[0, 0, 0, 0, 0, 0, 0, 9]);
            bytes.put_slice(body);
            bytes.put_slice(b"next");
            let read = decode(&mut bytes);
            match expected {
                Some(expected) => assert_eq!(read.unwrap().unwrap().body, *expected),
                None => assert_eq!(
                    read,
                    Err(PduError::Body {
                        command: *command,
                        sequence: 9
                    })
                ),
            }
            assert_eq!(&bytes[..], b"next");
        }
    }

    #[test]
    fn a_stream_is_cut_into_pdus() {
        let pdu = Pdu {
            status: 0,
            sequence: 1,
            body: Body::Submit(Box::new(message())),
        };
        let whole = bytes(&pdu);
        for cut in 0..whole.len() {
            let mut part = BytesMut::from(&whole[..cut]);
            assert_eq!(decode(&mut part), Ok(None));
            part.extend_from_slice(&whole[cut..]);
            assert_eq!(decode(&mut part), Ok(Some(pdu.clone())));
        }
        for length in [0_u32, 15, 70_001, u32::MAX] {
            let mut bytes = BytesMut::from(&length.to_be_bytes()[..]);
            assert_eq!(decode(&mut bytes), Err(PduError::Length(length as usize)));
        }
    }

    #[test]
    fn fuzz_no_bytes_make_it_panic() {
        let mut seed = 1_u64;
        let whole = bytes(&Pdu {
            status: 0,
            sequence: 1,
            body: Body::Deliver(Box::new(message())),
        });
        for _ in 0..20_000 {
            let mut bytes = whole.clone();
            for _ in 0..3 {
                seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                let at = 4 + (seed >> 33) as usize % (bytes.len() - 4);
                bytes[at] = (seed >> 24) as u8;
            }
            let _ = decode(&mut bytes);
            assert!(bytes.is_empty());
        }
    }
}
