//! A command that runs under a lock: started, waited for, and sent the signals that were meant for it.
//!
//! Owns: [`Signals`], [`Prepared`], [`Running`], and the `unsafe` of holding a child back before its `exec`. Never: signals
//! a process that was reaped, or that is not its own child.

use rustix::io::{read, write};
use rustix::process::{Pid, Signal, getpid, kill_process};
use signal_hook::consts::{SIGCHLD, SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2};
use std::ffi::OsString;
use std::io::{self, IsTerminal as _, PipeWriter, Read as _, Write as _};
use std::os::fd::{AsFd as _, AsRawFd as _, FromRawFd as _, OwnedFd};
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::process::{Child, Command};
use std::thread::JoinHandle;

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// By itself, with this code.
    Code(u8),
    /// By this signal.
    Signal(i32),
}

/// The signals that would end us. From when this is made they do not: they are asked for, or passed on.
#[derive(Debug)]
pub struct Signals {
    caught: signal_hook::iterator::Signals,
}

impl Signals {
    /// Catches them from now on.
    pub fn catch() -> io::Result<Self> {
        let signals = [SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2, SIGCHLD];
        Ok(Self { caught: signal_hook::iterator::Signals::new(signals)? })
    }

    /// One that came since this was last asked.
    pub fn came(&mut self) -> Option<i32> {
        self.caught.pending().find(|signal| *signal != SIGCHLD)
    }
}

fn command(line: &[OsString]) -> io::Result<Command> {
    let (program, arguments) = line.split_first().ok_or(io::ErrorKind::InvalidInput)?;
    let mut command = Command::new(program);
    command.args(arguments);
    Ok(command)
}

/// A process that waits to become the command: its PID is known before anything of the command has run, and `exec` keeps
/// PID and start token. Dropped, or if we die, it ends without having run anything.
#[derive(Debug)]
pub struct Prepared {
    pid: u32,
    go: Option<PipeWriter>,
    spawning: Option<JoinHandle<io::Result<Child>>>,
}

/// Makes such a process.
pub fn prepare(line: &[OsString]) -> io::Result<Prepared> {
    let mut command = command(line)?;
    let (mut told, tell) = io::pipe()?;
    let (gone, go) = io::pipe()?;
    let parents_go = go.as_raw_fd();
    let hold_back = move || {
        // SAFETY: in the child only, which has a copy of its own of this descriptor (fork) and nobody else to use it;
        // while it is open the end of the parent would not end the reading below.
        drop(unsafe { OwnedFd::from_raw_fd(parents_go) });
        write(tell.as_fd(), &getpid().as_raw_nonzero().get().to_ne_bytes())?;
        let mut byte = [0];
        loop {
            match read(gone.as_fd(), &mut byte) {
                Ok(1) => return Ok(()),
                Err(rustix::io::Errno::INTR) => {}
                _ => return Err(io::Error::from_raw_os_error(libc::ECANCELED)),
            }
        }
    };
    // SAFETY: between fork and exec it makes system calls alone (close, getpid, write, read) and allocates nothing.
    unsafe { command.pre_exec(hold_back) };
    // In a thread, as `spawn` comes back with the exec.
    let spawning = std::thread::Builder::new().name("spawn".into()).spawn(move || command.spawn())?;
    let mut prepared = Prepared { pid: 0, go: Some(go), spawning: Some(spawning) };
    let mut pid = [0; 4];
    match told.read_exact(&mut pid) {
        Ok(()) => {
            prepared.pid = u32::from_ne_bytes(pid);
            Ok(prepared)
        }
        // No child, so nobody has told: why, `spawn` says.
        Err(error) => Err(prepared.end().err().unwrap_or(error)),
    }
}

impl Prepared {
    /// Its PID, which the command will have.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// Lets it become the command.
    pub fn start(mut self) -> io::Result<Running> {
        if let Some(mut go) = self.go.take() {
            go.write_all(&[1])?;
        }
        self.end().map(|child| Running { child })
    }

    fn end(&mut self) -> io::Result<Child> {
        drop(self.go.take());
        let spawned = self.spawning.take().map(JoinHandle::join);
        spawned
            .unwrap_or_else(|| Ok(Err(io::ErrorKind::NotFound.into())))
            .unwrap_or_else(|_| Err(io::ErrorKind::Other.into()))
    }
}

impl Drop for Prepared {
    fn drop(&mut self) {
        let _ = self.end();
    }
}

/// A command that runs.
#[derive(Debug)]
pub struct Running {
    child: Child,
}

impl Running {
    /// Its PID.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Waits for its end, and passes on what comes meanwhile.
    pub fn wait(mut self, signals: &mut Signals) -> io::Result<Ended> {
        // What a terminal sends it sends to both of us: passed on, it would come twice.
        let at_terminal = io::stdin().is_terminal();
        loop {
            // In one thread with the passing on, so that nothing is sent to a PID that was given away.
            if let Some(status) = self.child.try_wait()? {
                let code = || status.code().unwrap_or_default() as u8;
                return Ok(status.signal().map_or_else(|| Ended::Code(code()), Ended::Signal));
            }
            for signal in signals.caught.wait() {
                let from_terminal = at_terminal && [SIGINT, SIGQUIT].contains(&signal);
                if signal == SIGCHLD || from_terminal {
                    continue;
                }
                let (pid, named) = (Pid::from_raw(self.child.id() as i32), Signal::from_named_raw(signal));
                if let Some((pid, signal)) = pid.zip(named) {
                    // Gone already: SIGCHLD is on its way.
                    let _ = kill_process(pid, signal);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(words: &[&str]) -> Vec<OsString> {
        words.iter().map(Into::into).collect()
    }

    #[test]
    fn it_has_its_pid_before_anything_has_run_and_keeps_it() {
        let base = tempfile::tempdir().unwrap();
        let path = base.path().join("pid");
        let prepared = prepare(&line(&["sh", "-c", &format!("echo $$ > {}", path.display())])).unwrap();
        let pid = prepared.pid();
        assert!(std::path::Path::new(&format!("/proc/{pid}")).exists());
        assert!(!path.exists());
        let running = prepared.start().unwrap();
        assert_eq!(running.pid(), pid);
        assert_eq!(running.wait(&mut Signals::catch().unwrap()).unwrap(), Ended::Code(0));
        assert_eq!(std::fs::read_to_string(&path).unwrap().trim(), pid.to_string());
    }

    #[test]
    fn dropped_it_never_runs() {
        let base = tempfile::tempdir().unwrap();
        let path = base.path().join("ran");
        let prepared = prepare(&line(&["touch", path.to_str().unwrap()])).unwrap();
        let pid = prepared.pid();
        drop(prepared);
        assert!(!path.exists());
        assert!(!std::path::Path::new(&format!("/proc/{pid}")).exists(), "and is reaped");
    }

    #[test]
    fn what_does_not_exist_is_told() {
        let nothing = line(&["/no/such/program"]);
        assert_eq!(prepare(&nothing).unwrap().start().map(|_| ()).unwrap_err().kind(), io::ErrorKind::NotFound);
        assert_eq!(prepare(&[]).map(|_| ()).unwrap_err().kind(), io::ErrorKind::InvalidInput);
    }
}
