// Shows the document of the base path that the address names, and marks its link.
const bases = ["restcomm", "twilio"];
const asked = new URLSearchParams(location.search).get("base");
const base = bases.includes(asked) ? asked : "restcomm";
document.querySelector(`nav a[href$="${base}"]`).setAttribute("aria-current", "page");
SwaggerUIBundle({
  url: `/docs/openapi-${base}.json`,
  dom_id: "#api",
  deepLinking: true,
  docExpansion: "none",
  filter: true,
  persistAuthorization: false,
  validatorUrl: null,
  // The forms of the other methods open with made-up values in all their fields.
  supportedSubmitMethods: ["get"],
});
