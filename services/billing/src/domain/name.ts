/**
 * The one spelling of a name that people write: NFC, without spaces around it. Nothing where it is empty, longer than `most`
 * characters then, or no well-formed Unicode; U+FFFD stands for bytes that were no UTF-8, and two names must not become one.
 */
export function nameOf(text: string, most: number): string | undefined {
  const canonical = text.normalize("NFC").trim();
  const well = canonical !== "" && canonical.isWellFormed() && !canonical.includes("\ufffd");
  return well && [...canonical].length <= most ? canonical : undefined;
}
