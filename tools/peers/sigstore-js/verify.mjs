// Verifies a sigstore bundle with a public key, as a user of npm's @sigstore/verify would, without a transparency log:
//
//   node verify.mjs BUNDLE.json KEY.pem
//
// Exit code 0: verified. 1: not, and stderr says why.

import { createPublicKey } from "node:crypto";
import { readFileSync } from "node:fs";
import { bundleFromJSON } from "@sigstore/bundle";
import { toSignedEntity, toTrustMaterial, Verifier } from "@sigstore/verify";

const [bundleFile, keyFile] = process.argv.slice(2);
const nothing = { certificateAuthorities: [], timestampAuthorities: [], tlogs: [], ctlogs: [] };

try {
  const publicKey = createPublicKey(readFileSync(keyFile));
  const bundle = bundleFromJSON(JSON.parse(readFileSync(bundleFile, "utf8")));
  // Whatever key the bundle hints at: the signature decides, not the name of a key.
  const trust = toTrustMaterial(nothing, () => ({ publicKey, validFor: () => true }));
  const thresholds = { tlogThreshold: 0, ctlogThreshold: 0, timestampThreshold: 0 };
  new Verifier(trust, thresholds).verify(toSignedEntity(bundle));
} catch (error) {
  process.stderr.write(`${error.code ?? error.name}: ${error.message}\n`);
  process.exitCode = 1;
}
