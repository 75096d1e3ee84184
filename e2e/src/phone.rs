//! A baresip softphone: a real phone that registers, calls, answers, and records what it hears.
//!
//! **Invariant: a phone plays its own tone from connection to the end of a call**, unless it is set up to play
//! less, and what it
//! heard can be read after the call. It is driven over its control connection; its events are kept
//! in order.

use std::io::{BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::Command;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, bail};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::ports;
use crate::process::Process;
use crate::server::{DOMAIN, Server};
use crate::tone::{Heard, Pitch, WIDE_RATE};
use crate::wait;

/// How long a phone may take to start, register or receive an event.
const PATIENCE: Duration = Duration::from_secs(8);
/// How long a phone may take until it can be controlled, and how often it is restarted.
const START: Duration = Duration::from_secs(4);
const TRIES: u32 = 3;
/// How long a key is held down.
const KEY_DOWN: Duration = Duration::from_millis(100);
/// Seconds of tone that a phone can play; when the file ends, baresip hangs up.
const TONE_SECONDS: u32 = 40;

/// Configuration of a phone.
pub struct Setup {
    user: String,
    password: Option<String>,
    codec: &'static str,
    transport: &'static str,
    answers: bool,
    info: bool,
    watches: bool,
    /// It plays only so many milliseconds of its tone.
    burst_ms: Option<u32>,
}

impl Setup {
    /// A phone of `user` that does not register, and rings until told to answer.
    pub fn new(user: &str) -> Self {
        Self {
            user: user.to_owned(),
            password: None,
            codec: "PCMU",
            transport: "udp",
            answers: false,
            info: false,
            watches: false,
            burst_ms: None,
        }
    }

    /// Registers as a client with this password.
    pub fn registers(mut self, password: &str) -> Self {
        self.password = Some(password.to_owned());
        self
    }

    /// Answers automatically, immediately.
    pub fn answers(mut self) -> Self {
        self.answers = true;
        self
    }

    /// Sends keys by SIP INFO instead of telephone events.
    pub fn keys_by_info(mut self) -> Self {
        self.info = true;
        self
    }

    /// Subscribes to the voice messages of its user; what it is notified of is in [`Phone::printed`].
    pub fn watches_messages(mut self) -> Self {
        self.watches = true;
        self
    }

    /// Plays only so many milliseconds of its tone, and then silence.
    pub fn plays_ms(mut self, ms: u32) -> Self {
        self.burst_ms = Some(ms);
        self
    }

    /// Uses A-law only.
    pub fn alaw(mut self) -> Self {
        self.codec = "PCMA";
        self
    }

    /// Uses G.722 only: it samples at 16 kHz.
    pub fn wideband(mut self) -> Self {
        self.codec = "G722";
        self
    }

    fn rate(&self) -> u32 {
        match self.codec {
            "G722" => WIDE_RATE,
            _ => audio::RATE,
        }
    }

    /// Registers and calls over TCP.
    pub fn tcp(mut self) -> Self {
        self.transport = "tcp";
        self
    }

    /// Starts the phone with its own tone; if it registers, waits for that.
    ///
    /// # Errors
    /// If baresip does not start, or is refused.
    pub fn start(self, server: &Server, pitch: Pitch) -> anyhow::Result<Phone> {
        // Another process may have taken one of its ports meanwhile; baresip then stays silent. And baresip 1.0.0 with its
        // module mwi sometimes does nothing but send SUBSCRIBE from its start on, without reading any answer.
        let mut tries = 1;
        loop {
            let started = self.launch(server, pitch).and_then(|phone| {
                if self.password.is_some() {
                    phone.wait_registered()?;
                }
                Ok(phone)
            });
            match started {
                Ok(phone) => return Ok(phone),
                Err(_) if tries < TRIES => tries += 1,
                Err(error) => return Err(error),
            }
        }
    }

    /// Starts baresip on free ports and connects to its control port.
    fn launch(&self, server: &Server, pitch: Pitch) -> anyhow::Result<Phone> {
        let folder = tempfile::tempdir()?;
        // baresip uses the port above the given one for TLS.
        let (sip_port, control_port) = (ports::block(2)?, ports::free()?);
        self.write_files(&folder, server, pitch, sip_port, control_port)?;
        let mut command = Command::new("baresip");
        command.arg("-f").arg(folder.path());
        let process = Process::start(
            command,
            &folder.path().join("stdout"),
            &folder.path().join("log"),
        )?;
        let control = wait::until("baresip's control port", START, || {
            TcpStream::connect(("127.0.0.1", control_port)).ok()
        })
        .with_context(|| process.tail())?;
        let events = Arc::new(Mutex::new(Vec::new()));
        let shared = Arc::clone(&events);
        let reader = control.try_clone()?;
        thread::spawn(move || read_events(reader, &shared));
        Ok(Phone {
            user: self.user.clone(),
            control,
            events,
            sip_port,
            process,
            folder,
        })
    }

    fn write_files(
        &self,
        folder: &TempDir,
        server: &Server,
        pitch: Pitch,
        sip_port: u16,
        control_port: u16,
    ) -> anyhow::Result<()> {
        let path = folder.path();
        let rate = self.rate();
        let tone = path.join("tone.wav");
        match self.burst_ms {
            Some(ms) => pitch.write_burst(&tone, ms, TONE_SECONDS, rate)?,
            None => pitch.write_wav(&tone, TONE_SECONDS, rate)?,
        }
        let rtp = ports::block(4)?;
        let config = format!(
            "sip_listen 127.0.0.1:{sip_port}\nnet_interface 127.0.0.1\n\
             audio_source aufile,{folder}/tone.wav\naudio_player aubridge,null\naudio_alert aubridge,null\n\
             ausrc_srate {rate}\nauplay_srate {rate}\nausrc_channels 1\nauplay_channels 1\n\
             rtp_ports {rtp}-{last}\nsnd_path {folder}\nctrl_tcp_listen 127.0.0.1:{control_port}\n\
             module_path /usr/lib/baresip/modules\nmodule g711.so\nmodule g722.so\nmodule aufile.so\nmodule aubridge.so\n\
             module sndfile.so\nmodule_app account.so\nmodule_app menu.so\nmodule_app ctrl_tcp.so\n{mwi}",
            folder = path.display(),
            last = rtp + 3,
            mwi = if self.watches {
                "module_app mwi.so\n"
            } else {
                ""
            },
        );
        std::fs::write(path.join("config"), config)?;
        let address = if self.transport == "tcp" {
            server.sip_tcp()?
        } else {
            server.sip_udp()?
        };
        let register = if self.password.is_some() { 60 } else { 0 };
        let account = format!(
            "<sip:{user}@{DOMAIN};transport={transport}>;auth_user={user};auth_pass={password};regint={register};\
             outbound=\"sip:{address};transport={transport}\";answermode={mode};mwi={mwi};audio_codecs={codec}/{rate}/1;dtmfmode={keys}\n",
            user = self.user,
            transport = self.transport,
            password = self.password.as_deref().unwrap_or("none"),
            mode = if self.answers { "auto" } else { "manual" },
            codec = self.codec,
            mwi = if self.watches { "yes" } else { "no" },
            keys = if self.info { "info" } else { "rtpevent" },
        );
        std::fs::write(path.join("accounts"), account)?;
        Ok(())
    }
}

/// A running phone.
pub struct Phone {
    user: String,
    control: TcpStream,
    events: Arc<Mutex<Vec<Value>>>,
    sip_port: u16,
    process: Process,
    folder: TempDir,
}

impl Phone {
    /// Its address without a registrar: `sip:user@127.0.0.1:port`.
    pub fn address(&self) -> String {
        format!("sip:{}@127.0.0.1:{}", self.user, self.sip_port)
    }

    /// Calls a user or number of the server.
    ///
    /// # Errors
    /// If the control connection is broken.
    pub fn dial(&self, user: &str) -> anyhow::Result<()> {
        self.command("dial", &format!("sip:{user}@{DOMAIN}"))
    }

    /// Answers the ringing call.
    ///
    /// # Errors
    /// If the control connection is broken.
    pub fn answer(&self) -> anyhow::Result<()> {
        self.command("accept", "")
    }

    /// Ends or refuses the call.
    ///
    /// # Errors
    /// If the control connection is broken.
    pub fn hangup(&self) -> anyhow::Result<()> {
        self.command("hangup", "")
    }

    /// Transfers the other party of the call to a user of the server, without asking that user.
    ///
    /// # Errors
    /// If the control connection is broken.
    pub fn transfer(&self, user: &str) -> anyhow::Result<()> {
        self.command("transfer", &format!("sip:{user}@{DOMAIN}"))
    }

    /// Puts the call on hold, or resumes it.
    ///
    /// # Errors
    /// If the control connection is broken.
    pub fn hold(&self, hold: bool) -> anyhow::Result<()> {
        self.command(if hold { "hold" } else { "resume" }, "")
    }

    /// Mutes the phone, or unmutes it if it is muted. A muted phone sends silence.
    ///
    /// # Errors
    /// If the control connection is broken.
    pub fn mute(&self) -> anyhow::Result<()> {
        self.command("mute", "")
    }

    /// Presses a key for a tenth of a second.
    ///
    /// # Errors
    /// If the control connection is broken.
    pub fn press(&self, key: char) -> anyhow::Result<()> {
        self.command("sndcode", &key.to_string())?;
        std::thread::sleep(KEY_DOWN);
        self.command("sndcode", "\u{4}")
    }

    fn command(&self, name: &str, argument: &str) -> anyhow::Result<()> {
        let text = json!({"command": name, "params": argument, "token": name}).to_string();
        (&self.control)
            .write_all(format!("{}:{text},", text.len()).as_bytes())
            .context("baresip's control port")
    }

    /// Polls until the phone reports that it is registered: the event may have preceded its control
    /// port.
    fn wait_registered(&self) -> anyhow::Result<()> {
        let registered = |answer: &Value| {
            let text = answer["data"].as_str().unwrap_or_default();
            answer["type"] == "REGISTER_OK" || (answer["token"] == REGINFO && text.contains("OK"))
        };
        let mut asked = 0_u32;
        wait::until(&format!("{}: registered", self.user), PATIENCE, || {
            if asked.is_multiple_of(10) {
                self.command(REGINFO, "").ok()?;
            }
            asked += 1;
            self.events().iter().any(registered).then_some(())
        })
        .with_context(|| format!("{:#?}\n{}", self.events(), self.process.tail()))
    }

    /// Waits for an event of this type: `CALL_RINGING`, `CALL_ESTABLISHED`, `CALL_CLOSED`, …
    ///
    /// # Errors
    /// If it does not arrive; lists those that did.
    pub fn wait_for(&self, kind: &str) -> anyhow::Result<Value> {
        self.wait_for_nth(kind, 1)
    }

    /// Waits for the `count`-th event of this type.
    ///
    /// # Errors
    /// If it does not arrive; lists those that did.
    pub fn wait_for_nth(&self, kind: &str, count: usize) -> anyhow::Result<Value> {
        let what = format!("{}: {kind}", self.user);
        wait::until(&what, PATIENCE, || {
            self.events()
                .into_iter()
                .filter(|event| event["type"] == kind)
                .nth(count - 1)
        })
        .with_context(|| format!("{:#?}\n{}", self.events(), self.process.tail()))
    }

    /// All events so far.
    pub fn events(&self) -> Vec<Value> {
        self.events
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// What it has shown to its user on the terminal.
    pub fn printed(&self) -> String {
        let bytes = std::fs::read(self.folder.path().join("stdout"));
        String::from_utf8_lossy(&bytes.unwrap_or_default()).into_owned()
    }

    /// What it heard in its only call, after its end.
    ///
    /// # Errors
    /// If nothing was recorded.
    pub fn heard(&self) -> anyhow::Result<Heard> {
        let file = wait::until("baresip's recording", PATIENCE, || self.recording())?;
        let bytes = std::fs::read(&file)?;
        Heard::from_wav(&bytes).with_context(|| file.display().to_string())
    }

    /// The file of what it heard, once its header is complete.
    fn recording(&self) -> Option<PathBuf> {
        let entries = std::fs::read_dir(self.folder.path()).ok()?;
        let mut files = entries.flatten().map(|entry| entry.path()).filter(|path| {
            path.file_name()
                .is_some_and(|name| name.to_string_lossy().ends_with("-dec.wav"))
        });
        files.find(|path| {
            let bytes = std::fs::read(path).unwrap_or_default();
            bytes.get(40..44).is_some_and(|length| length != [0; 4])
        })
    }

    /// Its process.
    pub fn process(&mut self) -> &mut Process {
        &mut self.process
    }
}

/// Reads netstrings (`length:text,`) until the connection ends. Queries the state of baresip's
/// registrations.
const REGINFO: &str = "reginfo";

fn read_events(stream: TcpStream, events: &Mutex<Vec<Value>>) {
    let mut reader = BufReader::new(stream);
    while let Ok(text) = netstring(&mut reader) {
        if let Ok(value) = serde_json::from_slice::<Value>(&text)
            && (value["event"] == Value::Bool(true) || value["token"] == REGINFO)
        {
            events
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push(value);
        }
    }
}

fn netstring(reader: &mut BufReader<TcpStream>) -> anyhow::Result<Vec<u8>> {
    let mut length = 0_usize;
    loop {
        let mut byte = [0];
        reader.read_exact(&mut byte)?;
        match byte[0] {
            digit @ b'0'..=b'9' => length = length * 10 + usize::from(digit - b'0'),
            b':' => break,
            other => bail!("unexpected byte {other}"),
        }
    }
    let mut text = vec![0; length + 1];
    reader.read_exact(&mut text)?;
    text.pop();
    Ok(text)
}
