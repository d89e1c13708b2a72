//! Every command, one file each.

pub mod aliases;
pub mod cache;
pub mod completions;
pub mod demo;
pub mod deploy;
pub mod doctor;
pub mod env;
pub mod help;
pub mod image;
pub mod man;
pub mod repo;
pub mod room;
pub mod serve;
pub mod storage;
pub mod token;

use std::sync::Arc;

use clap::Subcommand;
use fluent_bundle::FluentValue;

use crate::failure::Failure;
use crate::i18n::Catalog;
use crate::output::Output;
use crate::progress::Reporter;
use crate::site::SiteArgs;
use crate::telling::Teller;

/// What every command is given.
#[derive(Debug)]
pub struct Context {
    /// The user's language.
    pub catalog: Arc<Catalog>,
    /// Where to print.
    pub output: Arc<Output>,
    /// What the command line says of the site.
    pub site: SiteArgs,
    /// Tells the manager.
    pub teller: Teller,
}

impl Context {
    /// Progress for one stretch of work.
    pub fn progress(&self) -> Reporter<'_> {
        Reporter::new(&self.catalog, &self.output).telling(&self.teller)
    }

    /// Gives warnings, by their keys and values, for work that may last longer than what is borrowed here.
    pub(crate) fn warner(
        &self,
    ) -> impl Fn(&str, &[(&str, FluentValue<'_>)]) + Send + Sync + 'static {
        let (mode, lang) = (self.output.mode(), self.catalog.lang());
        move |key, values| {
            let catalog = Catalog::new(lang);
            Output::standard(mode).warn(&catalog, &catalog.fmt(key, values));
        }
    }
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Shows the whole story.
    Demo(demo::Args),
    /// Works with images.
    #[command(subcommand)]
    Image(image::Verb),
    /// Puts the newest image into the cache and on a device.
    Deploy(deploy::Args),
    /// Looks for what is in the way.
    Doctor(doctor::Args),
    /// Prints the variables for scripts.
    Env(env::Args),
    /// Works with the cache.
    #[command(subcommand)]
    Cache(cache::Verb),
    /// Works with repositories.
    #[command(subcommand)]
    Repo(repo::Verb),
    /// Comes to a manager as a person.
    Login(repo::login::Args),
    /// Looks after the room.
    #[command(subcommand)]
    Room(room::Verb),
    /// Works with removable storage.
    #[command(subcommand)]
    Storage(storage::Verb),
    /// Serves images to other computers.
    Serve(serve::Args),
    /// Works with the manager's tokens.
    #[command(subcommand)]
    Token(token::Verb),
    /// Works with OpenGnsys' names.
    #[command(subcommand)]
    Aliases(aliases::Verb),
    /// Writes shell completions.
    Completions(completions::Args),
    /// Writes manual pages.
    Man(man::Args),
    /// Explains a command.
    Help(help::Args),
}

impl Command {
    /// Runs it.
    ///
    /// # Errors
    /// Whatever kept it from being done.
    pub fn run(&self, context: &Context) -> Result<(), Failure> {
        // The doctor tells it among the rest; the others have nothing to do with a site.
        let without = matches!(
            self,
            Self::Doctor(_) | Self::Completions(_) | Self::Man(_) | Self::Help(_)
        );
        if !without {
            crate::site::check_named()?;
        }
        match self {
            Self::Demo(args) => args.run(context),
            Self::Image(verb) => verb.run(context),
            Self::Deploy(args) => args.run(context),
            Self::Doctor(args) => args.run(context),
            Self::Env(args) => args.run(context),
            Self::Cache(verb) => verb.run(context),
            Self::Repo(verb) => verb.run(context),
            Self::Login(args) => args.run(context),
            Self::Room(verb) => verb.run(context),
            Self::Storage(verb) => verb.run(context),
            Self::Serve(args) => args.run(context),
            Self::Token(verb) => verb.run(context),
            Self::Aliases(verb) => verb.run(context),
            Self::Completions(args) => args.run(context),
            Self::Man(args) => args.run(context),
            Self::Help(args) => args.run(context),
        }
    }
}
