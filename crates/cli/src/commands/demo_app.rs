//! `schleuse demo-app` (hidden): the service the demo ships.

use schleuse_model::Exit;

use crate::context::Context;
use crate::demo_app::{Answer, Fault, Service};
use crate::environment::Variables;
use crate::failure::Failure;
use crate::signals;
use crate::usage::Usage;

/// Serve the demo's application
#[derive(clap::Args, Debug)]
pub(crate) struct Args {}

/// Everything comes from the environment, as for any service of the twelve-factor kind.
struct Settings {
    port: u16,
    answer: Answer,
}

impl Settings {
    fn resolve(environment: &Variables) -> Result<Self, Failure> {
        let port = environment.get("PORT").and_then(|port| port.parse().ok());
        let port = port.ok_or_else(|| Usage::new("PORT is not a port", "set PORT to a number from 0 to 65535"))?;
        let fault: Fault = environment.get("APP_FAULT").unwrap_or_default().parse()?;
        let version = environment.get("APP_VERSION").unwrap_or("unversioned").to_owned();
        let digest = environment.get("SCHLEUSE_DIGEST").map(ToOwned::to_owned);
        Ok(Self { port, answer: Answer { version, digest, fault } })
    }
}

pub(crate) async fn run(context: &Context) -> Result<Exit, Failure> {
    let Settings { port, answer } = Settings::resolve(&context.variables)?;
    // Before listening: a SIGTERM that comes with the first request must find its handler.
    let stop = signals::Stop::listen()?;
    let version = answer.version.clone();
    let service = Service::start(port, answer).await?;
    if let Ok(address) = service.address() {
        context.printer.note(&format!("billing {version} listening on http://{address}"));
    }
    let stopped = async {
        stop.asked().await;
    };
    service.serve(stopped).await?;
    Ok(Exit::Done)
}
