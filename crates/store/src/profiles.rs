//! Profiles, what they apply to, and the one that applies to an account.
//!
//! **Invariant: of the profiles linked to an account, those above it and its organization, the nearest applies; if none
//! is linked, the default one.** Left to others: what a profile limits (`model::profile`).

mod document;

use std::sync::{Arc, OnceLock};

use model::profile::{self, Limits, Target};
use model::record::{Account, StoredProfile};
use model::{AccountSid, OrganizationSid, ProfileSid, Timestamp};

use crate::admin::Admin;
use crate::row::{Row, corrupt};
use crate::sql::{Sql, Table, args};
use crate::{Result, Store};

pub use document::{Profile, ProfileError, SCHEMA};

pub(crate) static PROFILES: Table = Table {
    name: "profiles",
    counted: false,
    columns: &["sid", "document", "created", "updated"],
    insert_once: OnceLock::new(),
};

/// The profile that applies to an account or organization.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Effective {
    /// Its identifier.
    pub sid: ProfileSid,
    /// What it limits.
    pub limits: Limits,
    /// The account under which calls are counted against the rate: the one that the profile is linked to, otherwise the
    /// customer. Accounts below it share the rate, or each new one would add to it.
    pub counted_by: AccountSid,
}

/// A profile, and the account that it is linked to if it is not linked to an organization.
struct Nearest {
    sid: ProfileSid,
    limits: Limits,
    linked_to: Option<AccountSid>,
}

fn read(row: &Row) -> Result<StoredProfile> {
    Ok(StoredProfile {
        sid: row.word("sid")?,
        document: row.text("document")?,
        created: row.time("created")?,
        updated: row.time("updated")?,
    })
}

impl Store {
    /// Every stored profile, oldest first; the default one is not stored.
    ///
    /// # Errors
    /// As reported by the database.
    pub async fn profiles(&self) -> Result<Vec<StoredProfile>> {
        let mut sql = PROFILES.select();
        sql.text(" ORDER BY created, sid");
        self.many(sql, read).await
    }

    /// A stored profile.
    ///
    /// # Errors
    /// As reported by the database.
    pub async fn profile(&self, sid: ProfileSid) -> Result<Option<StoredProfile>> {
        self.one(&PROFILES, sid, read).await
    }

    /// Adds a profile.
    ///
    /// # Errors
    /// As reported by the database.
    pub async fn insert_profile(&self, row: &StoredProfile) -> Result<()> {
        let row = args![row.sid, row.document.clone(), row.created, row.updated];
        let insert = Admin::ChangeProfiles(PROFILES.insert_once(row));
        self.administer(insert).await.map(drop)
    }

    /// Replaces the document of a profile; `false` if it does not exist.
    ///
    /// # Errors
    /// As reported by the database.
    pub async fn replace_profile(
        &self,
        sid: ProfileSid,
        document: &str,
        at: Timestamp,
    ) -> Result<bool> {
        let mut sql = Sql::default();
        sql.with("UPDATE profiles SET document = ?", document)
            .with(", updated = ?", at)
            .with(" WHERE sid = ?", sid);
        self.administer(Admin::ChangeProfiles(sql)).await
    }

    /// Deletes a profile with its links; `false` if it does not exist.
    ///
    /// # Errors
    /// As reported by the database.
    pub async fn delete_profile(&self, sid: ProfileSid) -> Result<bool> {
        let mut links = Sql::default();
        links.with("DELETE FROM profile_links WHERE profile = ?", sid);
        self.administer(Admin::ChangeProfiles(links)).await?;
        let delete = Admin::ChangeProfiles(PROFILES.delete(sid));
        self.administer(delete).await
    }

    /// Applies a profile to a target instead of any other; `false` if the profile does not exist.
    ///
    /// # Errors
    /// As reported by the database.
    pub async fn link_profile(
        &self,
        sid: ProfileSid,
        target: Target,
        at: Timestamp,
    ) -> Result<bool> {
        let link = Sql::new(
            "INSERT INTO profile_links (target, profile, created) SELECT $1, $2, $3 \
             WHERE $2 = $4 OR EXISTS (SELECT sid FROM profiles WHERE sid = $2) \
             ON CONFLICT (target) DO UPDATE SET profile = excluded.profile, created = excluded.created",
            args![target.to_string(), sid, at, profile::DEFAULT_SID],
        );
        self.administer(Admin::ChangeProfiles(link)).await
    }

    /// No longer applies a profile to a target; `false` if it did not.
    ///
    /// # Errors
    /// As reported by the database.
    pub async fn unlink_profile(&self, sid: ProfileSid, target: Target) -> Result<bool> {
        let mut sql = Sql::default();
        sql.with(
            "DELETE FROM profile_links WHERE target = ?",
            target.to_string(),
        )
        .with(" AND profile = ?", sid);
        self.administer(Admin::ChangeProfiles(sql)).await
    }

    /// What a profile is linked to, in the order in which that was done.
    ///
    /// # Errors
    /// As reported by the database.
    pub async fn profile_links(&self, sid: ProfileSid) -> Result<Vec<Target>> {
        let mut sql = Sql::default();
        sql.with("SELECT target FROM profile_links WHERE profile = ?", sid)
            .text(" ORDER BY created, target");
        self.many(sql, |row| row.word("target")).await
    }

    /// The profile that applies to an account. Cached.
    ///
    /// # Errors
    /// As [`Store::account`].
    pub async fn profile_of(&self, of: AccountSid) -> Result<Arc<Effective>> {
        let cache = &self.caches().profiles;
        let generation = match cache.get(&of) {
            Ok(known) => return Ok(known),
            Err(generation) => generation,
        };
        let (mut targets, mut organization, mut next) = (Vec::new(), None, Some(of));
        while let (Some(sid), true) = (next, targets.len() < Account::MAX_ANCESTRY) {
            targets.push(Target::Account(sid));
            let account = self.account(sid).await?;
            let own = account.as_ref().map(|account| account.organization);
            organization = organization.or(own);
            next = account.and_then(|account| account.parent);
        }
        targets.extend(organization.map(Target::Organization));
        let nearest = self.nearest(&targets).await?;
        let found = Arc::new(Effective {
            sid: nearest.sid,
            limits: nearest.limits,
            counted_by: match nearest.linked_to {
                Some(account) => account,
                None => self.customer_of(of).await?,
            },
        });
        cache.keep(generation, of, Arc::clone(&found));
        Ok(found)
    }

    /// The identifier of the profile that applies to an organization.
    ///
    /// # Errors
    /// As reported by the database.
    pub async fn profile_of_organization(&self, of: OrganizationSid) -> Result<ProfileSid> {
        let nearest = self.nearest(&[Target::Organization(of)]).await?;
        Ok(nearest.sid)
    }

    /// The profile that is linked to the first of these that has one.
    async fn nearest(&self, targets: &[Target]) -> Result<Nearest> {
        let mut sql = Sql::default();
        sql.text(
            "SELECT l.target, l.profile, p.document FROM profile_links l \
             LEFT JOIN profiles p ON p.sid = l.profile WHERE l.target IN (",
        );
        for (at, target) in targets.iter().enumerate() {
            sql.with(if at == 0 { "?" } else { ", ?" }, target.to_string());
        }
        sql.text(")");
        let links = self
            .many(sql, |row| {
                let target: Target = row.word("target")?;
                let sid: ProfileSid = row.word("profile")?;
                Ok((target, sid, row.opt_text("document")?))
            })
            .await?;
        for target in targets {
            let of_target = links.iter().find(|(linked, ..)| linked == target);
            let Some((_, sid, document)) = of_target else {
                continue;
            };
            if let Some(document) = document {
                let profile = Profile::parse(document);
                let profile = profile.map_err(|error| corrupt("document", error.to_string()))?;
                return Ok(Nearest {
                    sid: *sid,
                    limits: profile.limits,
                    linked_to: match target {
                        Target::Account(account) => Some(*account),
                        Target::Organization(_) => None,
                    },
                });
            }
            if *sid == profile::DEFAULT_SID {
                break;
            }
            // Deleted on another server at the same time.
        }
        Ok(Nearest {
            sid: profile::DEFAULT_SID,
            limits: Limits::default(),
            linked_to: None,
        })
    }
}
