//! `schleuse demo`.

use std::path::{Path, PathBuf};

use schleuse_config::env;
use schleuse_model::Exit;
use schleuse_registry::Registry;

use crate::context::Context;
use crate::demo::{Scene, Stage, file, play};
use crate::failure::Failure;
use crate::random;
use crate::signals::Stop;

/// See it all work on this machine, in a minute: no Docker, no root, no network
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Examples:
  schleuse demo
  schleuse demo --keep          leaves registry data, keys, journal and running releases to look at
  schleuse demo --clean FOLDER  clears away what --keep left

A good release goes to production without losing a request; a sick one is brought back in canary; an unsigned and a tampered
image are refused; two promoters race; the tool is killed in mid-rollout and goes on.")]
pub(crate) struct Args {
    /// Leave everything in its folder, and the releases running
    #[arg(long)]
    keep: bool,
    /// Watch each release for a shorter time
    #[arg(long)]
    fast: bool,
    /// Wait for Enter before each command
    #[arg(long)]
    step: bool,
    /// Stop and remove what a demo with --keep left in this folder
    #[arg(long, value_name = "FOLDER", conflicts_with_all = ["keep", "fast", "step"])]
    clean: Option<PathBuf>,
}

pub(crate) async fn run(args: &Args, context: &Context) -> Result<Exit, Failure> {
    if let Some(folder) = &args.clean {
        let scene = Scene::found(folder)?;
        scene.stop().await?;
        scene.remove()?;
        return Ok(Exit::Done);
    }
    let stop = Stop::listen()?;
    let began = context.now();
    let below = context.environment.get(&env::TMPDIR).unwrap_or("/tmp");
    let name = format!("schleuse-demo-{}", schleuse_model::digest::to_hex(&random::bytes::<4>()?));
    let below = std::fs::canonicalize(below).map_err(file(below))?;
    let exe = std::env::current_exe().map_err(file("this program"))?;
    let scene = Scene::set(below.join(name), exe, args.fast, u16::from_le_bytes(random::bytes()?))?;
    let played = tokio::select! {
        played = perform(&scene, context, args.step) => played.map(|()| Exit::Done),
        _ = stop.asked() => Ok(Exit::Interrupted),
    };
    if let Ok(Exit::Interrupted) = played {
        context.printer.note("");
        context.printer.note("interrupted");
    }
    if args.keep {
        kept(&scene, context);
    } else {
        // Whatever happened, nothing is left behind.
        scene.stop().await?;
        scene.remove()?;
    }
    let exit = played?;
    if exit == Exit::Done {
        let took = schleuse_model::time::human(context.now().since(began));
        let paint = context.printer.paint();
        context.printer.note("");
        context.printer.note(&paint.good(format_args!("Everything went as it must, in {took}.")));
        if !args.keep {
            next(context);
        }
    }
    Ok(exit)
}

async fn perform(scene: &Scene, context: &Context, step: bool) -> Result<(), Failure> {
    let registry = Registry::disk(scene.folder.join("registry"))?.spawn(scene.registry).await?;
    let mut stage = Stage::new(context, scene, step)?;
    stage.say(&format!(
        "Everything of this demo is in {}: a registry on http://{}, two environments",
        scene.folder.display(),
        scene.registry
    ));
    stage.say("with a front door each, and a release made of this very program.");
    let played = play(&mut stage).await;
    registry.stop().await?;
    played
}

fn kept(scene: &Scene, context: &Context) {
    let say = |line: &str| context.printer.note(line);
    let folder = scene.folder.display();
    say("");
    say(&format!("Left in {folder}: schleuse.toml, schleuse.key (password `demo`), registry/, state/."));
    say(&format!("canary answers on http://{}, production on http://{}.", scene.canary, scene.production));
    say("To go on:");
    say(&format!("  cd {folder}"));
    say(&format!("  {} registry serve --folder registry --listen {} &", shown(&scene.exe), scene.registry));
    say(&format!(
        "  export COSIGN_PASSWORD=demo COSIGN_PRIVATE_KEY=\"$(cat schleuse.key)\"; {} status",
        shown(&scene.exe)
    ));
    say(&format!("To clear it away: {} demo --clean {folder}", shown(&scene.exe)));
}

fn next(context: &Context) {
    let say = |line: &str| context.printer.note(line);
    say(
        "It was all in one folder, which is gone again; `--keep` leaves it, `--step` goes through it command by command.",
    );
    say("Next: `schleuse config schema`, the README's smallest schleuse.toml, and `schleuse promote --help`.");
}

fn shown(path: &Path) -> String {
    path.display().to_string()
}
