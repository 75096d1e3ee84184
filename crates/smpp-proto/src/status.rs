//! The values of `command_status` (§5.1.3).

/// No error.
pub const OK: u32 = 0;
/// The command is not known.
pub const INVALID_COMMAND: u32 = 0x03;
/// The SMSC's queue is full.
pub const QUEUE_FULL: u32 = 0x14;
/// The ESME sends faster than agreed.
pub const THROTTLED: u32 = 0x58;
/// The receiver cannot take this message now; the SMSC repeats it.
pub const TEMPORARY: u32 = 0x64;
/// The receiver will never take this message.
pub const PERMANENT: u32 = 0x65;
/// A field of the PDU cannot be read.
pub const SYSTEM_ERROR: u32 = 0x08;

/// What a negative answer to `submit_sm` means for the message.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Refusal {
    /// Wait and send the same again.
    SlowDown,
    /// This SMSC has a problem: later, or another route.
    Temporary,
    /// This message will never be accepted here.
    Permanent,
}

/// What this status of a `submit_sm_resp` means; not for [`OK`].
#[must_use]
pub const fn refusal(status: u32) -> Refusal {
    match status {
        THROTTLED | QUEUE_FULL => Refusal::SlowDown,
        // System error, submit failed, temporary and unknown errors, not bound.
        SYSTEM_ERROR | 0x04 | 0x45 | TEMPORARY | 0xFF => Refusal::Temporary,
        _ => Refusal::Permanent,
    }
}

/// The name of a status, as in the specification.
#[must_use]
pub const fn name(status: u32) -> &'static str {
    match status {
        0x00 => "ESME_ROK",
        0x01 => "ESME_RINVMSGLEN",
        0x02 => "ESME_RINVCMDLEN",
        0x03 => "ESME_RINVCMDID",
        0x04 => "ESME_RINVBNDSTS",
        0x05 => "ESME_RALYBND",
        0x06 => "ESME_RINVPRTFLG",
        0x07 => "ESME_RINVREGDLVFLG",
        0x08 => "ESME_RSYSERR",
        0x0A => "ESME_RINVSRCADR",
        0x0B => "ESME_RINVDSTADR",
        0x0C => "ESME_RINVMSGID",
        0x0D => "ESME_RBINDFAIL",
        0x0E => "ESME_RINVPASWD",
        0x0F => "ESME_RINVSYSID",
        0x11 => "ESME_RCANCELFAIL",
        0x13 => "ESME_RREPLACEFAIL",
        0x14 => "ESME_RMSGQFUL",
        0x15 => "ESME_RINVSERTYP",
        0x33 => "ESME_RINVNUMDESTS",
        0x34 => "ESME_RINVDLNAME",
        0x40 => "ESME_RINVDESTFLAG",
        0x42 => "ESME_RINVSUBREP",
        0x43 => "ESME_RINVESMCLASS",
        0x44 => "ESME_RCNTSUBDL",
        0x45 => "ESME_RSUBMITFAIL",
        0x48 => "ESME_RINVSRCTON",
        0x49 => "ESME_RINVSRCNPI",
        0x50 => "ESME_RINVDSTTON",
        0x51 => "ESME_RINVDSTNPI",
        0x53 => "ESME_RINVSYSTYP",
        0x54 => "ESME_RINVREPFLAG",
        0x55 => "ESME_RINVNUMMSGS",
        0x58 => "ESME_RTHROTTLED",
        0x61 => "ESME_RINVSCHED",
        0x62 => "ESME_RINVEXPIRY",
        0x63 => "ESME_RINVDFTMSGID",
        0x64 => "ESME_RX_T_APPN",
        0x65 => "ESME_RX_P_APPN",
        0x66 => "ESME_RX_R_APPN",
        0x67 => "ESME_RQUERYFAIL",
        0xC0 => "ESME_RINVOPTPARSTREAM",
        0xC1 => "ESME_ROPTPARNOTALLWD",
        0xC2 => "ESME_RINVPARLEN",
        0xC3 => "ESME_RMISSINGOPTPARAM",
        0xC4 => "ESME_RINVOPTPARAMVAL",
        0xFE => "ESME_RDELIVERYFAILURE",
        0xFF => "ESME_RUNKNOWNERR",
        _ => "status of the SMSC",
    }
}
