// What is in an image above its base: read from the registry, layer by layer, as any engine would.

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { gunzipSync } from "node:zlib";

const ACCEPT = ["application/vnd.oci.image.manifest.v1+json", "application/vnd.docker.distribution.manifest.v2+json"].join(", ");

async function get(address, path) {
  const answer = await fetch(`http://${address}/v2/${path}`, {
    headers: { accept: ACCEPT },
    signal: AbortSignal.timeout(30_000),
  });
  assert.equal(answer.status, 200, `GET ${path}`);
  return Buffer.from(await answer.arrayBuffer());
}

/** What an image from scratch stands on. */
export const SCRATCH = { config: { rootfs: { diff_ids: [] } } };

/**
 * The image `name:reference`: its configuration, its files above the layers of `base` by path, and how large they are, compressed
 * and unpacked. `texts` has all that could give a secret away.
 */
export async function readImage(address, name, reference, base) {
  const manifest = JSON.parse(await get(address, `${name}/manifests/${reference}`));
  const configText = await get(address, `${name}/blobs/${manifest.config.digest}`);
  const config = JSON.parse(configText);
  const below = base.config.rootfs.diff_ids;
  assert.deepEqual(config.rootfs.diff_ids.slice(0, below.length), below, `${name}:${reference} does not stand on the base`);
  const image = { config, files: new Map(), compressed: 0, unpacked: 0, texts: [configText] };
  for (const layer of manifest.layers.slice(below.length)) {
    const tar = gunzipSync(await get(address, `${name}/blobs/${layer.digest}`));
    image.compressed += layer.size;
    image.texts.push(tar);
    for (const { path, ...entry } of entries(tar)) {
      assert.doesNotMatch(path, /(^|\/)\.wh\./, "a layer takes away what a layer below has: its bytes are shipped all the same");
      image.files.set(path, entry);
    }
  }
  for (const { size } of image.files.values()) image.unpacked += size;
  return image;
}

const text = (bytes) => bytes.toString("utf8").replace(/\0.*$/s, "");
const octal = (bytes) => Number.parseInt(text(bytes).trim() || "0", 8);

/** The records of a pax header: "LENGTH KEY=VALUE\n". */
function pax(body) {
  const records = {};
  for (let at = 0; at < body.length; ) {
    const length = Number.parseInt(body.toString("latin1", at), 10);
    const record = body.toString("utf8", at, at + length - 1);
    const [, key, value] = /^\d+ ([^=]+)=(.*)$/s.exec(record);
    records[key] = value;
    at += length;
  }
  return records;
}

const KINDS = { 0: "file", "": "file", 1: "hard link", 2: "link", 5: "folder" };

/** The entries of a tar archive (POSIX pax, and GNU's long names). Anything else in it is an error. */
function* entries(tar) {
  let more = {};
  for (let at = 0; at + 512 <= tar.length && tar[at] !== 0; ) {
    const header = tar.subarray(at, at + 512);
    const field = (from, length) => header.subarray(from, from + length);
    const size = more.size === undefined ? octal(field(124, 12)) : Number(more.size);
    const body = tar.subarray(at + 512, at + 512 + size);
    at += 512 + Math.ceil(size / 512) * 512;
    const type = text(field(156, 1));
    if (type === "x") more = { ...more, ...pax(body) };
    else if (type === "L") more.path = text(body);
    else if (type === "K") more.linkpath = text(body);
    else {
      const kind = KINDS[type];
      assert(kind, `a layer has an entry of type ${type}`);
      const prefix = text(field(257, 5)) === "ustar" && field(263, 1)[0] === 0x30 ? text(field(345, 155)) : "";
      const path = more.path ?? (prefix ? `${prefix}/` : "") + text(field(0, 100));
      yield {
        path: path.replace(/^\.?\//, "").replace(/\/$/, ""),
        kind,
        size: kind === "file" ? size : 0,
        owner: `${more.uid ?? octal(field(108, 8))}:${more.gid ?? octal(field(116, 8))}`,
        // Of the permissions only what a checkout keeps: the others are the umask's.
        executable: kind === "file" && (octal(field(100, 8)) & 0o100) !== 0,
        content:
          kind === "file"
            ? createHash("sha256").update(body).digest("hex")
            : kind === "folder"
              ? ""
              : (more.linkpath ?? text(field(157, 100))),
      };
      more = {};
    }
  }
}

/** Where two images differ, a line each; none if their files are the same. */
export function differences(ours, theirs) {
  const lines = [];
  for (const path of new Set([...ours.files.keys(), ...theirs.files.keys()])) {
    const [one, other] = [ours, theirs].map((image) => JSON.stringify(image.files.get(path) ?? "absent"));
    if (one !== other) lines.push(`${path}: ${one} and ${other}`);
  }
  return lines;
}
