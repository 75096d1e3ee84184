//! What the server says and writes by itself, in each language.

/// The phrases of a language. `{n}`, `{from}`, `{day}` and `{time}` are replaced.
pub(crate) struct Phrases {
    /// Greetings, for each [`Case`](crate::Case): direct, busy, no answer, closed.
    pub(crate) greetings: [&'static str; 4],
    pub(crate) operator: &'static str,
    pub(crate) again: &'static str,
    pub(crate) no_message: &'static str,
    pub(crate) review: &'static str,
    pub(crate) thanks: &'static str,
    pub(crate) pin: &'static str,
    pub(crate) wrong_pin: &'static str,
    pub(crate) no_access: &'static str,
    /// None, one, several.
    pub(crate) new: [&'static str; 3],
    pub(crate) old: [&'static str; 3],
    pub(crate) menu_new: &'static str,
    pub(crate) menu_old: &'static str,
    pub(crate) menu_greeting: &'static str,
    pub(crate) menu_end: &'static str,
    pub(crate) message: &'static str,
    pub(crate) unknown: &'static str,
    pub(crate) keys: &'static str,
    pub(crate) kept: &'static str,
    pub(crate) deleted: &'static str,
    pub(crate) no_more: &'static str,
    pub(crate) record_greeting: &'static str,
    pub(crate) greeting_saved: &'static str,
    pub(crate) goodbye: &'static str,
    /// From Monday on.
    pub(crate) days: [&'static str; 7],
    pub(crate) today: &'static str,
    pub(crate) yesterday: &'static str,
    pub(crate) subject: &'static str,
    pub(crate) body: &'static str,
}

/// The languages, in the order of [`TABLE`].
pub(crate) const KNOWN: &[&str] = &["en", "de", "es", "fr"];

/// The phrases of a language tag, whatever its region; English if there are none.
pub(crate) fn phrases(tag: &str) -> &'static Phrases {
    &TABLE[position(tag).unwrap_or(0)]
}

/// Whether there are phrases for a language tag.
pub(crate) fn is_known(tag: &str) -> bool {
    position(tag).is_some()
}

fn position(tag: &str) -> Option<usize> {
    let mut parts = tag.trim().split(['-', '_']);
    let language = parts.next()?.to_ascii_lowercase();
    let is_tag = parts.all(|part| {
        (1..=8).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_alphanumeric())
    });
    let at = KNOWN.iter().position(|known| *known == language);
    at.filter(|_| is_tag)
}

static TABLE: [Phrases; 4] = [
    Phrases {
        greetings: [
            "Please leave a message after the tone, and press the hash key when you have finished.",
            "The person you are calling is on another call. Please leave a message after the tone, and press the hash key when you have finished.",
            "The person you are calling cannot answer. Please leave a message after the tone, and press the hash key when you have finished.",
            "We are closed at the moment. Please leave a message after the tone, and press the hash key when you have finished.",
        ],
        operator: "To speak to someone now, press 0.",
        again: "Please leave your message after the tone.",
        no_message: "No message was recorded. Goodbye.",
        review: "To send your message, press 1 or hang up. To listen to it, press 2. To record it again, press 3.",
        thanks: "Thank you. Goodbye.",
        pin: "Please enter your PIN, followed by the hash key.",
        wrong_pin: "That PIN is not correct.",
        no_access: "This mailbox is not available right now. Goodbye.",
        new: [
            "You have no new messages.",
            "You have one new message.",
            "You have {n} new messages.",
        ],
        old: [
            "",
            "There is one old message.",
            "There are {n} old messages.",
        ],
        menu_new: "To hear new messages, press 1.",
        menu_old: "To hear old messages, press 2.",
        menu_greeting: "To record your greeting, press 3.",
        menu_end: "To finish, press the hash key.",
        message: "Message from {from}, {day} at {time}.",
        unknown: "an unknown caller",
        keys: "To hear it again, press 1. To save it, press 2. To delete it, press 3. For the menu, press the hash key.",
        kept: "Message saved.",
        deleted: "Deleted.",
        no_more: "There are no more messages.",
        record_greeting: "Please record your greeting after the tone, and press the hash key when you have finished.",
        greeting_saved: "Your greeting has been saved.",
        goodbye: "Goodbye.",
        days: [
            "Monday",
            "Tuesday",
            "Wednesday",
            "Thursday",
            "Friday",
            "Saturday",
            "Sunday",
        ],
        today: "today",
        yesterday: "yesterday",
        subject: "Voicemail from {{From}}",
        body: "New voicemail in {{Box}} from {{From}} ({{Duration}} s).\n\nCalled: {{To}}\nTime: {{Date}} {{Time}} ({{TimeZone}})\n\n{{Transcript}}\n\nListen to it: {{RecordingUrl}}\n",
    },
    Phrases {
        greetings: [
            "Bitte hinterlassen Sie nach dem Ton eine Nachricht, und drücken Sie am Ende die Rautetaste.",
            "Ihr Gesprächspartner telefoniert gerade. Bitte hinterlassen Sie nach dem Ton eine Nachricht, und drücken Sie am Ende die Rautetaste.",
            "Ihr Gesprächspartner ist nicht erreichbar. Bitte hinterlassen Sie nach dem Ton eine Nachricht, und drücken Sie am Ende die Rautetaste.",
            "Wir haben zurzeit geschlossen. Bitte hinterlassen Sie nach dem Ton eine Nachricht, und drücken Sie am Ende die Rautetaste.",
        ],
        operator: "Um jetzt mit jemandem zu sprechen, drücken Sie die 0.",
        again: "Bitte sprechen Sie Ihre Nachricht nach dem Ton.",
        no_message: "Es wurde keine Nachricht aufgenommen. Auf Wiederhören.",
        review: "Um Ihre Nachricht zu senden, drücken Sie die 1 oder legen Sie auf. Zum Anhören drücken Sie die 2. Um sie neu aufzunehmen, drücken Sie die 3.",
        thanks: "Vielen Dank. Auf Wiederhören.",
        pin: "Bitte geben Sie Ihre PIN ein und drücken Sie danach die Rautetaste.",
        wrong_pin: "Diese PIN ist falsch.",
        no_access: "Dieses Postfach ist zurzeit nicht verfügbar. Auf Wiederhören.",
        new: [
            "Sie haben keine neuen Nachrichten.",
            "Sie haben eine neue Nachricht.",
            "Sie haben {n} neue Nachrichten.",
        ],
        old: [
            "",
            "Sie haben eine alte Nachricht.",
            "Sie haben {n} alte Nachrichten.",
        ],
        menu_new: "Für neue Nachrichten drücken Sie die 1.",
        menu_old: "Für alte Nachrichten drücken Sie die 2.",
        menu_greeting: "Um Ihre Begrüßung aufzunehmen, drücken Sie die 3.",
        menu_end: "Zum Beenden drücken Sie die Rautetaste.",
        message: "Nachricht von {from}, {day} um {time}.",
        unknown: "Unbekannt",
        keys: "Zum erneuten Anhören drücken Sie die 1, zum Speichern die 2, zum Löschen die 3, für das Menü die Rautetaste.",
        kept: "Nachricht gespeichert.",
        deleted: "Gelöscht.",
        no_more: "Es gibt keine weiteren Nachrichten.",
        record_greeting: "Bitte sprechen Sie Ihre Begrüßung nach dem Ton, und drücken Sie am Ende die Rautetaste.",
        greeting_saved: "Ihre Begrüßung ist gespeichert.",
        goodbye: "Auf Wiederhören.",
        days: [
            "Montag",
            "Dienstag",
            "Mittwoch",
            "Donnerstag",
            "Freitag",
            "Samstag",
            "Sonntag",
        ],
        today: "heute",
        yesterday: "gestern",
        subject: "Sprachnachricht von {{From}}",
        body: "Neue Sprachnachricht in {{Box}} von {{From}} ({{Duration}} s).\n\nAngerufene Nummer: {{To}}\nZeit: {{Date}} {{Time}} ({{TimeZone}})\n\n{{Transcript}}\n\nAnhören: {{RecordingUrl}}\n",
    },
    Phrases {
        greetings: [
            "Deje un mensaje después de la señal y pulse la tecla almohadilla cuando termine.",
            "La persona a la que llama está en otra llamada. Deje un mensaje después de la señal y pulse la tecla almohadilla cuando termine.",
            "La persona a la que llama no puede responder. Deje un mensaje después de la señal y pulse la tecla almohadilla cuando termine.",
            "En este momento estamos cerrados. Deje un mensaje después de la señal y pulse la tecla almohadilla cuando termine.",
        ],
        operator: "Para hablar ahora con una persona, pulse 0.",
        again: "Deje su mensaje después de la señal.",
        no_message: "No se ha grabado ningún mensaje. Adiós.",
        review: "Para enviar su mensaje, pulse 1 o cuelgue. Para escucharlo, pulse 2. Para grabarlo de nuevo, pulse 3.",
        thanks: "Gracias. Adiós.",
        pin: "Introduzca su PIN y pulse la tecla almohadilla.",
        wrong_pin: "Ese PIN no es correcto.",
        no_access: "Este buzón no está disponible en este momento. Adiós.",
        new: [
            "No tiene mensajes nuevos.",
            "Tiene un mensaje nuevo.",
            "Tiene {n} mensajes nuevos.",
        ],
        old: ["", "Hay un mensaje antiguo.", "Hay {n} mensajes antiguos."],
        menu_new: "Para escuchar los mensajes nuevos, pulse 1.",
        menu_old: "Para escuchar los mensajes antiguos, pulse 2.",
        menu_greeting: "Para grabar su saludo, pulse 3.",
        menu_end: "Para terminar, pulse la tecla almohadilla.",
        message: "Mensaje de {from}, {day} a las {time}.",
        unknown: "un número desconocido",
        keys: "Para repetirlo, pulse 1. Para guardarlo, pulse 2. Para borrarlo, pulse 3. Para volver al menú, pulse la tecla almohadilla.",
        kept: "Mensaje guardado.",
        deleted: "Borrado.",
        no_more: "No hay más mensajes.",
        record_greeting: "Grabe su saludo después de la señal y pulse la tecla almohadilla cuando termine.",
        greeting_saved: "Su saludo se ha guardado.",
        goodbye: "Adiós.",
        days: [
            "el lunes",
            "el martes",
            "el miércoles",
            "el jueves",
            "el viernes",
            "el sábado",
            "el domingo",
        ],
        today: "hoy",
        yesterday: "ayer",
        subject: "Mensaje de voz de {{From}}",
        body: "Nuevo mensaje de voz en {{Box}} de {{From}} ({{Duration}} s).\n\nNúmero llamado: {{To}}\nHora: {{Date}} {{Time}} ({{TimeZone}})\n\n{{Transcript}}\n\nEscuchar: {{RecordingUrl}}\n",
    },
    Phrases {
        greetings: [
            "Laissez un message après le signal sonore, puis appuyez sur la touche dièse.",
            "Votre correspondant est déjà en ligne. Laissez un message après le signal sonore, puis appuyez sur la touche dièse.",
            "Votre correspondant ne peut pas répondre. Laissez un message après le signal sonore, puis appuyez sur la touche dièse.",
            "Nos bureaux sont fermés. Laissez un message après le signal sonore, puis appuyez sur la touche dièse.",
        ],
        operator: "Pour parler à quelqu'un maintenant, appuyez sur 0.",
        again: "Laissez votre message après le signal sonore.",
        no_message: "Aucun message n'a été enregistré. Au revoir.",
        review: "Pour envoyer votre message, appuyez sur 1 ou raccrochez. Pour l'écouter, appuyez sur 2. Pour l'enregistrer à nouveau, appuyez sur 3.",
        thanks: "Merci. Au revoir.",
        pin: "Entrez votre code, puis appuyez sur la touche dièse.",
        wrong_pin: "Ce code n'est pas correct.",
        no_access: "Cette messagerie n'est pas accessible pour le moment. Au revoir.",
        new: [
            "Vous n'avez pas de nouveau message.",
            "Vous avez un nouveau message.",
            "Vous avez {n} nouveaux messages.",
        ],
        old: [
            "",
            "Il y a un ancien message.",
            "Il y a {n} anciens messages.",
        ],
        menu_new: "Pour écouter les nouveaux messages, appuyez sur 1.",
        menu_old: "Pour écouter les anciens messages, appuyez sur 2.",
        menu_greeting: "Pour enregistrer votre annonce, appuyez sur 3.",
        menu_end: "Pour terminer, appuyez sur la touche dièse.",
        message: "Message de {from}, {day} à {time}.",
        unknown: "un numéro inconnu",
        keys: "Pour le réécouter, appuyez sur 1. Pour le sauvegarder, appuyez sur 2. Pour l'effacer, appuyez sur 3. Pour le menu, appuyez sur la touche dièse.",
        kept: "Message sauvegardé.",
        deleted: "Effacé.",
        no_more: "Vous n'avez pas d'autre message.",
        record_greeting: "Enregistrez votre annonce après le signal sonore, puis appuyez sur la touche dièse.",
        greeting_saved: "Votre annonce est enregistrée.",
        goodbye: "Au revoir.",
        days: [
            "lundi", "mardi", "mercredi", "jeudi", "vendredi", "samedi", "dimanche",
        ],
        today: "aujourd'hui",
        yesterday: "hier",
        subject: "Message vocal de {{From}}",
        body: "Nouveau message vocal dans {{Box}}, de la part de {{From}} ({{Duration}} s).\n\nNuméro appelé : {{To}}\nHeure : {{Date}} {{Time}} ({{TimeZone}})\n\n{{Transcript}}\n\nÉcouter : {{RecordingUrl}}\n",
    },
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_language_has_all_phrases_with_their_places() {
        assert_eq!(TABLE.len(), KNOWN.len());
        for phrases in &TABLE {
            for text in [phrases.new[2], phrases.old[2]] {
                assert!(text.contains("{n}"), "{text}");
            }
            for place in ["{from}", "{day}", "{time}"] {
                assert!(phrases.message.contains(place), "{}", phrases.message);
            }
            for place in ["{{From}}", "{{Box}}", "{{Transcript}}", "{{RecordingUrl}}"] {
                assert!(phrases.body.contains(place), "{}", phrases.body);
            }
        }
    }
}
