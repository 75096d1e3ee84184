//! Writes recordings on its own threads: a disk may be slow, and a worker must not wait.
//!
//! Samples come in blocks of half a second; those of two channels alternate. During a recording, `.part` is appended to the file
//! name; at the end the header is completed, the data synced to disk and the file renamed. After a
//! crash [`recover_recording`] does that. **Invariant: a file with the final name is complete**, and has the
//! length of the recording: blocks that find the queue full are replaced by silence and counted.
//! Left to others: mixing.

use crate::plane::Reports;
use audio::wav;
use media_proto::{EndpointId, RecordingId, Report};
use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread;
use tracing::warn;

/// Samples of each channel in a block: half a second.
const BLOCK: usize = 4000;
/// Maximum blocks waiting: 8 MB, or 16 MB if all have two channels.
const MAX_WAITING: usize = 1024;
const PART: &str = "part";

/// Who is notified how a recording ended.
#[derive(Debug)]
pub(crate) struct Addressee {
    pub(crate) reports: Reports,
    pub(crate) endpoint: EndpointId,
    pub(crate) recording: RecordingId,
}

impl Addressee {
    /// Reports that the recording failed.
    pub(crate) fn fail(&self, reason: String) {
        self.send(Report::RecordFailed {
            recording: self.recording,
            reason,
        });
    }

    fn send(&self, report: Report) {
        // The receiver may be gone; the file exists all the same.
        let _ = self.reports.send((self.endpoint, report));
    }
}

/// Handle to the threads; they end when the last one is dropped, after all work is done.
#[derive(Debug, Clone)]
pub(crate) struct Disk {
    jobs: Sender<Job>,
    state: Arc<DiskState>,
}

#[derive(Debug, Default)]
struct DiskState {
    next_file: AtomicU64,
    waiting: AtomicUsize,
    /// Shared with code that only counts, and so does not keep the threads alive.
    overruns: Arc<AtomicU64>,
}

#[derive(Debug)]
enum Job {
    Start {
        file: u64,
        path: PathBuf,
        channels: u16,
        addressee: Addressee,
    },
    /// `silence` samples are missing before this block.
    Block {
        file: u64,
        silence: usize,
        samples: Vec<i16>,
    },
    /// The rest; then only the first `keep` samples of each channel remain.
    Finish {
        file: u64,
        silence: usize,
        samples: Vec<i16>,
        keep: u64,
    },
    Discard {
        file: u64,
        reason: String,
    },
}

impl Disk {
    /// Starts the threads; each holds `running` until it ends.
    pub(crate) fn start(running: &Sender<()>) -> io::Result<Self> {
        let (jobs, inbox) = mpsc::channel();
        let (finished, to_finish) = mpsc::channel();
        let state = Arc::new(DiskState::default());
        let writer = Writer {
            files: BTreeMap::new(),
            finished,
            bytes: Vec::new(),
        };
        let (held, waiting) = (running.clone(), Arc::clone(&state));
        thread::Builder::new()
            .name("media-disk".to_owned())
            .spawn(move || {
                writer.run(&inbox, &waiting);
                drop(held);
            })?;
        let held = running.clone();
        thread::Builder::new()
            .name("media-disk-sync".to_owned())
            .spawn(move || {
                to_finish.iter().for_each(complete);
                drop(held);
            })?;
        Ok(Self { jobs, state })
    }

    /// Begins a recording.
    pub(crate) fn record(&self, path: PathBuf, channels: u16, addressee: Addressee) -> Tape {
        let file = self.state.next_file.fetch_add(1, Ordering::Relaxed);
        let tape = Tape {
            disk: self.clone(),
            file,
            silence: 0,
            block: BLOCK * usize::from(channels),
            samples: Vec::with_capacity(BLOCK * usize::from(channels)),
        };
        tape.push(Job::Start {
            file,
            path,
            channels,
            addressee,
        });
        tape
    }

    /// Blocks that were replaced by silence.
    pub(crate) fn overruns(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.state.overruns)
    }
}

/// A recording in progress.
#[derive(Debug)]
pub(crate) struct Tape {
    disk: Disk,
    file: u64,
    /// Samples dropped before those in `samples`.
    silence: usize,
    /// Samples of a block, all channels together.
    block: usize,
    samples: Vec<i16>,
}

impl Tape {
    /// Adds whole frames: samples of two channels alternate.
    pub(crate) fn write(&mut self, samples: &[i16]) {
        self.samples.extend_from_slice(samples);
        if self.samples.len() + samples.len() > self.block {
            self.flush();
        }
    }

    /// - `keep`: samples of each channel to keep, from the beginning; more than there are means all.
    pub(crate) fn finish(self, keep: u64) {
        let Self {
            disk,
            file,
            silence,
            block: _,
            samples,
        } = self;
        disk.push(Job::Finish {
            file,
            silence,
            samples,
            keep,
        });
    }

    pub(crate) fn discard(self, reason: String) {
        self.push(Job::Discard {
            file: self.file,
            reason,
        });
    }

    fn flush(&mut self) {
        let state = &self.disk.state;
        if state.waiting.load(Ordering::Relaxed) >= MAX_WAITING {
            state.overruns.fetch_add(1, Ordering::Relaxed);
            self.silence += self.samples.len();
            self.samples.clear();
            return;
        }
        state.waiting.fetch_add(1, Ordering::Relaxed);
        let samples = std::mem::replace(&mut self.samples, Vec::with_capacity(self.block));
        let silence = std::mem::take(&mut self.silence);
        self.push(Job::Block {
            file: self.file,
            silence,
            samples,
        });
    }

    fn push(&self, job: Job) {
        self.disk.push(job);
    }
}

impl Disk {
    fn push(&self, job: Job) {
        // The thread runs as long as a handle exists.
        let _ = self.jobs.send(job);
    }
}

/// The writer thread.
struct Writer {
    files: BTreeMap<u64, Recording>,
    finished: Sender<Recording>,
    bytes: Vec<u8>,
}

struct Recording {
    file: File,
    path: PathBuf,
    channels: u16,
    addressee: Addressee,
    /// Samples written, all channels together.
    samples: u64,
    /// Samples of each channel that remain.
    keep: u64,
}

impl Writer {
    fn run(mut self, inbox: &Receiver<Job>, state: &DiskState) {
        for job in inbox {
            match job {
                Job::Start {
                    file,
                    path,
                    channels,
                    addressee,
                } => self.start(file, path, channels, addressee),
                Job::Block {
                    file,
                    silence,
                    samples,
                } => {
                    state.waiting.fetch_sub(1, Ordering::Relaxed);
                    self.write(file, silence, &samples);
                }
                Job::Finish {
                    file,
                    silence,
                    samples,
                    keep,
                } => {
                    self.write(file, silence, &samples);
                    self.finish(file, keep);
                }
                Job::Discard { file, reason } => self.fail(file, reason),
            }
        }
        // Only a fault leaves recordings here; their files are kept for `recover_recording`.
    }

    fn start(&mut self, number: u64, path: PathBuf, channels: u16, addressee: Addressee) {
        let open = || -> io::Result<File> {
            if let Some(folder) = path.parent() {
                fs::create_dir_all(folder)?;
            }
            let mut file = OpenOptions::new()
                .write(true)
                .create(true)
                .truncate(true)
                .mode(0o600)
                .open(part(&path))?;
            file.write_all(&wav::header(channels, 0))?;
            Ok(file)
        };
        match open() {
            Ok(file) => {
                self.files.insert(
                    number,
                    Recording {
                        file,
                        path,
                        channels,
                        addressee,
                        samples: 0,
                        keep: 0,
                    },
                );
            }
            Err(error) => {
                warn!(%error, "failed to create a recording");
                addressee.fail(format!("cannot create the file: {error}"));
            }
        }
    }

    fn write(&mut self, number: u64, silence: usize, samples: &[i16]) {
        let Some(recording) = self.files.get_mut(&number) else {
            return;
        };
        self.bytes.clear();
        self.bytes.resize(silence * 2, 0);
        self.bytes
            .extend(samples.iter().flat_map(|sample| sample.to_le_bytes()));
        recording.samples += (silence + samples.len()) as u64;
        if let Err(error) = recording.file.write_all(&self.bytes) {
            warn!(%error, "failed to write a recording");
            self.fail(number, format!("cannot write the file: {error}"));
        }
    }

    fn finish(&mut self, number: u64, keep: u64) {
        if let Some(mut recording) = self.files.remove(&number) {
            recording.keep = keep.min(recording.samples / u64::from(recording.channels.max(1)));
            // The receiving thread lives as long as this one.
            let _ = self.finished.send(recording);
        }
    }

    fn fail(&mut self, number: u64, reason: String) {
        if let Some(recording) = self.files.remove(&number) {
            let _ = fs::remove_file(part(&recording.path));
            recording.addressee.fail(reason);
        }
    }
}

/// Completes a file and reports it.
fn complete(recording: Recording) {
    let Recording {
        mut file,
        path,
        channels,
        addressee,
        samples: _,
        keep,
    } = recording;
    let closed = if keep == 0 {
        // Nothing was recorded, so nothing is kept.
        fs::remove_file(part(&path)).map(|()| 0)
    } else {
        close(&mut file, &path, channels, keep)
    };
    match closed {
        Ok(size_bytes) => addressee.send(Report::Recorded {
            recording: addressee.recording,
            duration_ms: keep / 8,
            size_bytes,
        }),
        Err(error) => {
            warn!(%error, "failed to complete a recording");
            addressee.fail(format!("cannot complete the file: {error}"));
        }
    }
}

/// Completes a file with this many samples of each channel; returns its size.
fn close(file: &mut File, path: &Path, channels: u16, samples: u64) -> io::Result<u64> {
    let data_bytes = samples * 2 * u64::from(channels);
    let size = wav::HEADER_LEN as u64 + data_bytes;
    file.set_len(size)?;
    file.seek(SeekFrom::Start(0))?;
    let data_bytes = u32::try_from(data_bytes).unwrap_or(u32::MAX);
    file.write_all(&wav::header(channels, data_bytes))?;
    file.sync_all()?;
    match fs::rename(part(path), path) {
        // Another server took this one for dead and completed the file too early; now it is whole.
        Err(error) if error.kind() == io::ErrorKind::NotFound && is_at(file, path) => {}
        renamed => renamed?,
    }
    Ok(size)
}

/// Whether an open file is the one with this name.
fn is_at(file: &File, path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    let of = |metadata: io::Result<fs::Metadata>| metadata.ok().map(|it| (it.dev(), it.ino()));
    let open = of(file.metadata());
    open.is_some() && open == of(fs::metadata(path))
}

fn part(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".");
    name.push(PART);
    name.into()
}

/// Completes a recording that a crash left unfinished; one without a single sample is removed. `path` is its final
/// name. If there is no unfinished file, nothing happens.
///
/// # Errors
/// If the file cannot be written.
pub fn recover_recording(path: &Path) -> io::Result<()> {
    let unfinished = part(path);
    let mut file = match OpenOptions::new().read(true).write(true).open(&unfinished) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        opened => opened?,
    };
    let mut begun = [0; wav::HEADER_LEN];
    let repaired = match file.read_exact(&mut begun) {
        Ok(()) => wav::repair(&begun, file.metadata()?.len()),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => None,
        Err(error) => return Err(error),
    };
    let Some(header) = repaired else {
        return fs::remove_file(&unfinished);
    };
    file.seek(SeekFrom::Start(0))?;
    file.write_all(&header)?;
    file.sync_all()?;
    fs::rename(unfinished, path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;
    use tokio::sync::mpsc::unbounded_channel;

    const ENDPOINT: EndpointId = EndpointId(3);
    const RECORDING: RecordingId = RecordingId(4);

    type Reported = tokio::sync::mpsc::UnboundedReceiver<(EndpointId, Report)>;

    fn tape(path: &Path) -> (Tape, Reported) {
        tape_of(path, 1)
    }

    fn tape_of(path: &Path, channels: u16) -> (Tape, Reported) {
        let (running, _) = mpsc::channel();
        let (reports, reported) = unbounded_channel();
        let addressee = Addressee {
            reports,
            endpoint: ENDPOINT,
            recording: RECORDING,
        };
        (
            Disk::start(&running)
                .unwrap()
                .record(path.to_owned(), channels, addressee),
            reported,
        )
    }

    /// This server was suspended while it recorded.
    #[test]
    fn a_recording_that_another_server_has_completed_too_early_becomes_whole() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("RE1.wav");
        let mut file = File::create(part(&path)).unwrap();
        file.write_all(&wav::encode(&[7; 100])).unwrap();
        recover_recording(&path).unwrap();
        file.write_all(&[1; 200]).unwrap();
        assert_eq!(close(&mut file, &path, 1, 200).unwrap(), 444);
        let read = wav::decode(&fs::read(&path).unwrap()).unwrap();
        assert_eq!(read.samples.len(), 200);
        // It is not mistaken for another file.
        fs::remove_file(&path).unwrap();
        fs::write(&path, "x").unwrap();
        assert!(close(&mut file, &path, 1, 200).is_err());
    }

    #[test]
    fn a_recording_appears_when_it_is_complete() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("deep/down/RE1.wav");
        let (mut tape, mut reported) = tape(&path);
        let samples: Vec<i16> = (0..12_345).collect();
        for frame in samples.chunks(160) {
            tape.write(frame);
            assert!(!path.exists());
        }
        tape.finish(u64::MAX);
        let expected = Report::Recorded {
            recording: RECORDING,
            duration_ms: 1543,
            size_bytes: 24_734,
        };
        assert_eq!(reported.blocking_recv(), Some((ENDPOINT, expected)));
        assert_eq!(
            wav::decode(&fs::read(&path).unwrap()).unwrap().samples,
            samples
        );
        assert!(!part(&path).exists());
        // It holds what people said.
        let permissions = fs::metadata(&path).unwrap().permissions();
        assert_eq!(permissions.mode() & 0o777, 0o600);
    }

    #[test]
    fn the_end_of_a_recording_is_trimmed() {
        let folder = tempfile::tempdir().unwrap();
        for (keep, left) in [(9_000, 9_000), (20_000, 12_000)] {
            let path = folder.path().join(format!("RE{keep}.wav"));
            let (mut tape, mut reported) = tape(&path);
            tape.write(&[5; 12_000]);
            tape.finish(keep);
            let expected = Report::Recorded {
                recording: RECORDING,
                duration_ms: left / 8,
                size_bytes: 44 + left * 2,
            };
            assert_eq!(reported.blocking_recv(), Some((ENDPOINT, expected)));
            let read = wav::decode(&fs::read(&path).unwrap()).unwrap();
            assert_eq!(read.samples.len() as u64, left);
            fs::remove_file(&path).unwrap();
        }
        let (mut tape, mut reported) = tape(&folder.path().join("RE0.wav"));
        tape.write(&[5; 12_000]);
        tape.finish(0);
        let empty = Report::Recorded {
            recording: RECORDING,
            duration_ms: 0,
            size_bytes: 0,
        };
        assert_eq!(reported.blocking_recv(), Some((ENDPOINT, empty)));
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn two_channels_have_one_length() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("RE1.wav");
        let (mut tape, mut reported) = tape_of(&path, 2);
        let samples: Vec<i16> = (0..12_000).collect();
        samples.chunks(320).for_each(|frame| tape.write(frame));
        tape.finish(5_600);
        let expected = Report::Recorded {
            recording: RECORDING,
            duration_ms: 700,
            size_bytes: 44 + 5_600 * 4,
        };
        assert_eq!(reported.blocking_recv(), Some((ENDPOINT, expected)));
        let read = wav::decode(&fs::read(&path).unwrap()).unwrap();
        assert_eq!((read.rate, read.channels), (8000, 2));
        assert_eq!(read.samples, samples[..11_200]);
    }

    #[test]
    fn failures_are_reported_once() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("file"), "").unwrap();
        let (mut tape, mut reported) = tape(&folder.path().join("file/RE1.wav"));
        tape.write(&[0; 160]);
        tape.finish(u64::MAX);
        let (_, report) = reported.blocking_recv().unwrap();
        assert!(
            matches!(
                report,
                Report::RecordFailed {
                    recording: RECORDING,
                    ..
                }
            ),
            "{report:?}"
        );
        assert_eq!(reported.blocking_recv(), None);
    }

    #[test]
    fn a_discarded_recording_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let (mut tape, mut reported) = tape(&folder.path().join("RE1.wav"));
        tape.write(&[0; 160]);
        tape.discard("no legs".to_owned());
        let failed = Report::RecordFailed {
            recording: RECORDING,
            reason: "no legs".to_owned(),
        };
        assert_eq!(reported.blocking_recv(), Some((ENDPOINT, failed)));
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_full_queue_becomes_silence() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("RE1.wav");
        let (mut tape, mut reported) = tape(&path);
        let disk = tape.disk.clone();
        tape.write(&[7; BLOCK]);
        disk.state.waiting.fetch_add(MAX_WAITING, Ordering::Relaxed);
        tape.write(&[8; BLOCK]);
        disk.state.waiting.fetch_sub(MAX_WAITING, Ordering::Relaxed);
        tape.write(&[9; BLOCK]);
        tape.finish(u64::MAX);
        assert!(reported.blocking_recv().is_some());
        assert_eq!(disk.overruns().load(Ordering::Relaxed), 1);
        let samples = wav::decode(&fs::read(&path).unwrap()).unwrap().samples;
        let expected = [7, 0, 9].map(|sample| [sample; BLOCK]).concat();
        assert_eq!(samples, expected);
    }

    #[test]
    fn unfinished_recordings_are_recovered() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        let mut bytes = wav::header(1, 0).to_vec();
        bytes.extend([1, 0, 2, 0]);
        fs::write(path("RE1.wav.part"), &bytes).unwrap();
        // Cut off in the middle of a frame.
        let mut apart = wav::header(2, 0).to_vec();
        apart.extend([1, 0, 2, 0, 3, 0, 4]);
        fs::write(path("RE5.wav.part"), &apart).unwrap();
        fs::write(path("RE2.wav.part"), &bytes[..20]).unwrap();
        fs::create_dir(path("RE3.wav.part")).unwrap();
        fs::write(path("RE4.wav"), "complete").unwrap();
        for (name, is_usable) in [
            ("RE1", true),
            ("RE2", true),
            ("RE3", false),
            ("RE4", true),
            ("RE5", true),
        ] {
            let recovered = recover_recording(&path(&format!("{name}.wav")));
            assert_eq!(recovered.is_ok(), is_usable, "{name}: {recovered:?}");
        }
        let samples = wav::decode(&fs::read(path("RE1.wav")).unwrap())
            .unwrap()
            .samples;
        assert_eq!(samples, [1, 2]);
        let apart = wav::decode(&fs::read(path("RE5.wav")).unwrap()).unwrap();
        assert_eq!((apart.channels, apart.samples), (2, vec![1, 2]));
        assert_eq!(fs::read(path("RE4.wav")).unwrap(), b"complete");
        let names = fs::read_dir(folder.path()).unwrap();
        let mut names: Vec<_> = names.map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        assert_eq!(names, ["RE1.wav", "RE3.wav.part", "RE4.wav", "RE5.wav"]);
    }
}
