//! The operator's own numbers for sale.
//!
//! **Invariant: a number is for sale exactly while no account has it,** so buying and deleting a
//! number need no further bookkeeping here.

use std::sync::OnceLock;

use model::available::{
    AvailableNumber, Capabilities, Near, NumberSearch, Position, WantedCapabilities, national,
};

use crate::connection::Access;
use crate::row::{Row, corrupt};
use crate::sql::{Arg, Sql, Table, args};
use crate::{Inspect, Result, Store};

static INVENTORY: Table = Table {
    name: "inventory",
    counted: false,
    columns: &[
        "phone_number",
        "country",
        "kind",
        "national",
        "region",
        "locality",
        "rate_center",
        "lata",
        "postal_code",
        "latitude_e6",
        "longitude_e6",
        "voice",
        "sms",
        "mms",
        "fax",
        "ussd",
        "cost",
    ],
    insert_once: OnceLock::new(),
};

/// Only numbers that no account has, in either spelling, not even in its bin.
const IS_FREE: &str = " AND NOT EXISTS (SELECT 1 FROM numbers \
    WHERE numbers.phone_number IN (inventory.phone_number, SUBSTR(inventory.phone_number, 2))) \
    AND NOT EXISTS (SELECT 1 FROM bin \
    WHERE bin.name IN (inventory.phone_number, SUBSTR(inventory.phone_number, 2)))";

/// Maximum countries.
const COUNTRIES: i64 = 300;
/// Maximum numbers whose distance is computed for one search.
const MEASURED: i64 = 5_000;
/// Miles of a degree of latitude, rounded down so that no number is missed.
const MILES_PER_DEGREE: f64 = 68.0;

fn args_of(number: &AvailableNumber) -> Vec<Arg> {
    args![
        number.phone_number.as_str(),
        number.country.as_str(),
        number.kind.as_str(),
        national(&number.phone_number).unwrap_or_default(),
        number.region.clone(),
        number.locality.clone(),
        number.rate_center.clone(),
        number.lata.clone(),
        number.postal_code.clone(),
        number.position.map(|position| position.latitude_e6),
        number.position.map(|position| position.longitude_e6),
        number.can.voice,
        number.can.sms,
        number.can.mms,
        number.can.fax,
        number.can.ussd,
        number.cost.clone(),
    ]
}

fn read(row: &Row) -> Result<AvailableNumber> {
    let latitude_e6 = row.opt_int("latitude_e6")?;
    let position = latitude_e6.zip(row.opt_int("longitude_e6")?);
    Ok(AvailableNumber {
        phone_number: row.text("phone_number")?,
        country: row.text("country")?,
        kind: row
            .text("kind")?
            .parse()
            .map_err(|error| corrupt("kind", error))?,
        region: row.opt_text("region")?,
        locality: row.opt_text("locality")?,
        rate_center: row.opt_text("rate_center")?,
        lata: row.opt_text("lata")?,
        postal_code: row.opt_text("postal_code")?,
        position: position.map(|(latitude_e6, longitude_e6)| Position {
            latitude_e6,
            longitude_e6,
        }),
        can: Capabilities {
            voice: row.flag("voice")?,
            sms: row.flag("sms")?,
            mms: row.flag("mms")?,
            fax: row.flag("fax")?,
            ussd: row.flag("ussd")?,
        },
        cost: row.opt_text("cost")?,
    })
}

/// The statement for everything in a search but its window and the exact distance.
fn select(search: &NumberSearch) -> Sql {
    let mut sql = INVENTORY.select();
    sql.text(" WHERE 1 = 1").text(IS_FREE);
    if let Some(country) = &search.country {
        sql.with(" AND country = ?", country.as_str());
    }
    if let Some(kind) = search.kind {
        sql.with(" AND kind = ?", kind.as_str());
    }
    if let Some(pattern) = &search.contains {
        let digits = pattern.digits.replace('*', "_");
        if pattern.at_start {
            sql.with(" AND (phone_number LIKE ?", format!("+{digits}%"))
                .with(" OR national LIKE ?)", format!("{digits}%"));
        } else {
            sql.with(" AND phone_number LIKE ?", format!("%{digits}%"));
        }
    }
    if let Some(area_code) = &search.area_code {
        // A range, which an index can find.
        sql.with(" AND national >= ?", area_code.as_str()).with(
            " AND national <= ?",
            format!("{area_code}{}", "9".repeat(15)),
        );
    }
    let exact = [
        ("phone_number", &search.phone_number),
        ("LOWER(region)", &search.region),
        ("LOWER(locality)", &search.locality),
        ("LOWER(rate_center)", &search.rate_center),
        ("LOWER(lata)", &search.lata),
        ("LOWER(postal_code)", &search.postal_code),
    ];
    for (column, value) in exact {
        if let Some(value) = value {
            sql.with(&format!(" AND {column} = ?"), value.to_lowercase());
        }
    }
    let WantedCapabilities {
        voice,
        sms,
        mms,
        fax,
        ussd,
    } = search.can;
    for (column, wanted) in [
        ("voice", voice),
        ("sms", sms),
        ("mms", mms),
        ("fax", fax),
        ("ussd", ussd),
    ] {
        if let Some(wanted) = wanted {
            sql.with(&format!(" AND {column} = ?"), wanted);
        }
    }
    sql
}

/// Appends the condition for a band of latitudes; what is east or west of the place is measured.
fn band(sql: &mut Sql, near: Near) {
    let (latitude, longitude) = near.position.degrees();
    let reach = near.miles / MILES_PER_DEGREE;
    let edge = |degrees: f64| {
        Position::from_degrees(degrees.clamp(-90.0, 90.0), longitude)
            .map_or(0, |edge| edge.latitude_e6)
    };
    sql.with(" AND latitude_e6 >= ?", edge(latitude - reach))
        .with(" AND latitude_e6 <= ?", edge(latitude + reach))
        .text(" AND longitude_e6 IS NOT NULL");
}

impl Store {
    /// Numbers for sale, in the order of the numbers.
    ///
    /// # Errors
    /// As reported by the database.
    pub async fn inventory(&self, search: &NumberSearch) -> Result<Vec<AvailableNumber>> {
        let mut near = search.near;
        if let Some((number, miles)) = &search.near_number {
            let Some(position) = self.position_of(number).await? else {
                return Ok(Vec::new());
            };
            near = Some(Near {
                position,
                miles: *miles,
            });
        }
        let mut sql = select(search);
        let Some(near) = near else {
            sql.with(" ORDER BY phone_number LIMIT ?", search.limit)
                .with(" OFFSET ?", search.offset);
            return self.many(sql, read).await;
        };
        band(&mut sql, near);
        sql.with(" ORDER BY phone_number LIMIT ?", MEASURED);
        let is_near = |number: &AvailableNumber| {
            let position = number.position;
            position.is_some_and(|position| near.position.miles_to(position) <= near.miles)
        };
        let count = |number: i64| usize::try_from(number).unwrap_or(0);
        let found = self.many(sql, read).await?.into_iter();
        let found = found.filter(is_near).skip(count(search.offset));
        Ok(found.take(count(search.limit)).collect())
    }

    async fn position_of(&self, number: &str) -> Result<Option<Position>> {
        let found = self.one(&INVENTORY, number, read).await?;
        Ok(found.and_then(|found| found.position))
    }

    /// The countries of the inventory, in alphabetical order.
    ///
    /// # Errors
    /// As reported by the database.
    pub async fn inventory_countries(&self) -> Result<Vec<String>> {
        let sql = Sql::new(
            "SELECT DISTINCT country FROM inventory ORDER BY country LIMIT $1",
            args![COUNTRIES],
        );
        self.many(sql, |row| row.text("country")).await
    }
}

impl Inspect {
    /// Adds numbers to the inventory, or replaces what is known about them, all at once.
    ///
    /// - `replace`: numbers that are not among them are removed from the inventory; accounts keep theirs
    ///
    /// # Errors
    /// As reported by the database.
    pub async fn import_numbers(&self, numbers: &[AvailableNumber], replace: bool) -> Result<()> {
        let mut connection = self.target.connect(Access::Write).await?;
        connection.run("BEGIN").await?;
        if replace {
            connection.run("DELETE FROM inventory").await?;
        }
        for number in numbers {
            let mut sql = INVENTORY.insert(args_of(number));
            let columns = INVENTORY.columns.iter().skip(1);
            let sets: Vec<_> = columns
                .map(|column| format!("{column} = excluded.{column}"))
                .collect();
            sql.text(" ON CONFLICT (phone_number) DO UPDATE SET ")
                .text(&sets.join(", "));
            connection.execute(sql).await?;
        }
        connection.run("COMMIT").await?;
        connection.close().await?;
        Ok(())
    }
}
