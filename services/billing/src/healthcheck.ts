/** The container engine's HEALTHCHECK: exit 0 when /api/health answers 200. Needs neither shell nor curl. */
const port = process.env.PORT || "3000";

try {
  const answer = await fetch(`http://127.0.0.1:${port}/api/health`, { signal: AbortSignal.timeout(2_000) });
  if (!answer.ok) process.stdout.write((await answer.text()).slice(0, 300));
  process.exit(answer.ok ? 0 : 1);
} catch (error) {
  process.stdout.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exit(1);
}
