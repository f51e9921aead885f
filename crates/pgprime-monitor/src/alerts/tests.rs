mod delivery;
mod formats;
mod outbox;
mod settings;
mod support;
