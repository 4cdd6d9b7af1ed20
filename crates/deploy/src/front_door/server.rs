//! The front door's process.

use std::fs::{self, File};
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use nix::sys::stat::fstat;
use schleuse_model::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, UnixListener, UnixStream};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};

use super::control::{self, Answer, LIMIT, Request};
use super::proxy::{Traffic, carry};
use super::{Places, Refusal, Settings};
use crate::atomic;
use crate::failure::Failure;
use crate::identity::{LifeLock, stand_alone};

/// How many connections may be open at a time: each takes two descriptors, and more than a small server can use.
const CONNECTIONS: usize = 4096;
/// How often the door looks whether its folder is still there. A door that nobody can reach any more ends by itself.
const HOME: Duration = Duration::from_secs(2);
/// How long to wait when the machine is short of descriptors.
const SHORT: Duration = Duration::from_millis(50);
const CONTROL: Duration = Duration::from_secs(1);

pub(super) fn main(folder: &Path) -> ExitCode {
    stand_alone();
    raise_descriptors();
    let places = Places(folder.to_owned());
    let opened = (|| {
        let Some(life) = LifeLock::at(&places.lock()).take()? else { return Ok(()) };
        let Some(settings) = atomic::read_json::<Settings>(&places.settings())? else { return Ok(()) };
        atomic::remove(&places.refusal())?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(Failure::io("start a runtime for", folder))?;
        match runtime.block_on(open(&places, &settings, &life)) {
            Ok(()) => Ok(()),
            Err(error) => {
                let taken = error.kind() == io::ErrorKind::AddrInUse;
                let refusal = Refusal { listen: settings.listen, taken, why: error.to_string() };
                atomic::write_json(&places.refusal(), &refusal)
            }
        }
    })();
    if opened.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Two descriptors a connection do not fit into the customary 1024.
fn raise_descriptors() {
    use nix::sys::resource::{Resource, getrlimit, setrlimit};
    if let Ok((_, hard)) = getrlimit(Resource::RLIMIT_NOFILE) {
        // If not, fewer connections fit; the others wait.
        let _ = setrlimit(Resource::RLIMIT_NOFILE, hard, hard);
    }
}

async fn open(places: &Places, settings: &Settings, life: &File) -> io::Result<()> {
    let listener = TcpListener::bind(settings.listen).await?;
    let (folder, socket) = control::socket(&places.0)?;
    match fs::remove_file(&socket) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let control = UnixListener::bind(&socket)?;
    drop(folder);
    let mut stop = signal(SignalKind::terminate())?;
    let traffic = Arc::new(Traffic::new(places.backend()));
    let answering = tokio::spawn(answer_all(control, settings.clone(), Arc::clone(&traffic)));
    tokio::select! {
        _ = stop.recv() => {}
        () = accept_all(listener, &traffic) => {}
        () = homeless(places, life) => {}
    }
    answering.abort();
    Ok(())
}

async fn accept_all(listener: TcpListener, traffic: &Arc<Traffic>) {
    let room = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        let Ok(seat) = Arc::clone(&room).acquire_owned().await else { return };
        match listener.accept().await {
            Ok((client, _)) => {
                let traffic = Arc::clone(traffic);
                tokio::spawn(async move {
                    carry(client, traffic).await;
                    drop(seat);
                });
            }
            // The client has gone again, or the machine is short of something: neither ends the door.
            Err(_) => sleep(SHORT).await,
        }
    }
}

async fn answer_all(control: UnixListener, settings: Settings, traffic: Arc<Traffic>) {
    loop {
        match control.accept().await {
            Ok((stream, _)) => {
                let _ = timeout(CONTROL, answer(stream, &settings, &traffic)).await;
            }
            Err(_) => sleep(SHORT).await,
        }
    }
}

async fn answer(mut stream: UnixStream, settings: &Settings, traffic: &Traffic) -> io::Result<()> {
    let mut asked = Vec::new();
    (&mut stream).take(LIMIT).read_to_end(&mut asked).await?;
    let request = json::from_untrusted(&asked, asked.len()).map_err(io::Error::other)?;
    if let Request::Drain { backend } = request {
        traffic.drain(backend);
    }
    let answer = Answer { listen: settings.listen, connections: traffic.connections() };
    stream.write_all(&json::to_bytes(&answer)).await
}

/// Returns when the lock we hold is no longer the one in the folder: the environment was deleted.
async fn homeless(places: &Places, life: &File) {
    loop {
        sleep(HOME).await;
        let ours = fstat(life.as_fd()).ok().map(|stat| (stat.st_dev, stat.st_ino));
        let there = fs::metadata(places.lock()).ok().map(|meta| (meta.dev(), meta.ino()));
        if ours != there {
            return;
        }
    }
}
