//! Which releases must stay trusted when a key goes: what each environment runs, and where it would go back to.

use schleuse_journal::ToAdopt;
use schleuse_model::EnvironmentName;
use schleuse_promote::retention;
pub(super) use schleuse_promote::retention::Staying;

use crate::failure::Failure;
use crate::ladder::Ladder;

/// One environment's newest entry, believed or not. `None`: it has no journal yet.
#[derive(Debug)]
pub(super) struct Newest {
    pub(super) environment: EnvironmentName,
    pub(super) found: Option<ToAdopt>,
}

/// Reads every environment's newest entry.
pub(super) async fn newest(ladder: &Ladder<'_>) -> Result<Vec<Newest>, Failure> {
    let mut all = Vec::new();
    for rung in ladder.rungs() {
        let found = ladder.journal(rung).to_adopt().await?;
        all.push(Newest { environment: rung.name.clone(), found });
    }
    Ok(all)
}

/// The releases that must stay, each once, in the ladder's order.
pub(super) fn staying(all: &[Newest]) -> Vec<Staying> {
    let states = all.iter().filter_map(|one| Some((&one.environment, &one.found.as_ref()?.entry().state)));
    retention::staying(states)
}
