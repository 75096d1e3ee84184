//! The findings of documents with queues: number, place and message.

use rcml::Document;

#[test]
fn explains_documents_with_queues() {
    let table: &[(&str, &[&str])] = &[
        (
            r#"<Response><Enqueue waitUrl="a b" waitUrlMethod="PUT" maxQueueSize="0" workflowSid="WW1"><Task>{}</Task></Enqueue><Leave at="1">x</Leave><Queue>q</Queue><Dial><Queue url="ftp://x" method="HEAD" reservationSid="WR1">q<Say>x</Say></Queue><Queue>r</Queue></Dial><Dial><Queue/></Dial></Response>"#,
            &[
                "13251 1:11 `Enqueue` does not name a queue; it was skipped",
                "11100 1:20 `waitUrl` of `Enqueue` contains spaces: `a b`",
                "13234 1:34 `waitUrlMethod` of `Enqueue` cannot be `PUT` (GET or POST); POST was used",
                "12203 1:54 `maxQueueSize` of `Enqueue` cannot be `0`; that of the queue was used",
                "12204 1:71 `workflowSid` of `Enqueue` has no effect here",
                "12204 1:89 `Task` inside `Enqueue` is not supported here; it was skipped; `Enqueue` queues callers by the name of the queue",
                "12201 1:121 `Leave` has no attribute `at`",
                "12202 1:128 the text in `Leave` has no effect",
                "12202 1:137 `Queue` belongs inside `Dial`; it was skipped",
                "11100 1:166 `url` of `Queue` is neither http nor https: `ftp://x`",
                "13210 1:180 `method` of `Queue` cannot be `HEAD` (GET or POST); POST was used",
                "12204 1:194 `reservationSid` of `Queue` has no effect here",
                "12202 1:216 `Say` does not belong inside `Queue`; it was skipped",
                "12202 1:236 `Queue` has no effect beside the first one in `Dial`",
                "13251 1:265 `Queue` does not name a queue; it was skipped",
            ],
        ),
        (
            r#"<Response><Enqueue action="/a">q</Enqueue><Say>never</Say></Response>"#,
            &[
                "12205 1:43 `Say` never runs: `Enqueue` on line 1 leaves the document for its `action`",
            ],
        ),
    ];
    for (xml, expected) in table {
        let (findings, _) = Document::lint(xml, None);
        let lines: Vec<String> = findings
            .iter()
            .map(|it| format!("{} {}:{} {}", it.code, it.line, it.column, it.message))
            .collect();
        assert_eq!(lines, *expected, "{xml}");
    }
}
