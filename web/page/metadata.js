// A model's file with other metadata: of a safetensors file only the header is written anew.

/** The file with these changes to its metadata, of which `null` takes a key out. What it holds is not read. */
export async function withMetadata(file, changes) {
  const length = Number(new DataView(await file.slice(0, 8).arrayBuffer()).getBigUint64(0, true));
  const header = JSON.parse(await file.slice(8, 8 + length).text());
  const metadata = Object.entries({ ...header.__metadata__, ...changes }).filter(([, value]) => value !== null);
  const bytes = new TextEncoder().encode(JSON.stringify({ ...header, __metadata__: Object.fromEntries(metadata) }));
  // Spaces, so that tensors begin where numbers can.
  const padding = ' '.repeat(-bytes.length & 7);
  const preamble = new DataView(new ArrayBuffer(8));
  preamble.setBigUint64(0, BigInt(bytes.length + padding.length), true);
  return new Blob([preamble, bytes, padding, file.slice(8 + length)]);
}
