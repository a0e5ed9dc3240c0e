/**
 * Register access over I2C (ECMA-419 clause 10, SMBus; SMBus 3.1 protocols "write byte", "read byte", "write word", "read word"):
 * the register's number goes first, a read follows after a repeated start. Words are little-endian as SMBus has them.
 */
import type { I2c, SmBus } from '../contract/io.ts'

/** SMBus over an opened I2C target; closing it closes the target. */
export function smbusOver(i2c: I2c): SmBus {
  const read = (register: number, byteLength: number) => {
    const bytes = i2c.writeRead(Uint8Array.of(register), byteLength)
    return new DataView(bytes.buffer, bytes.byteOffset, byteLength)
  }
  const writeWord = (register: number, value: number, littleEndian: boolean) => {
    const bytes = new DataView(new ArrayBuffer(3))
    bytes.setUint8(0, register)
    bytes.setUint16(1, value, littleEndian)
    i2c.write(new Uint8Array(bytes.buffer))
  }
  return {
    readUint8: (register) => read(register, 1).getUint8(0),
    writeUint8: (register, value) => i2c.write(Uint8Array.of(register, value)),
    readUint16: (register, bigEndian = false) => read(register, 2).getUint16(0, !bigEndian),
    writeUint16: (register, value, bigEndian = false) => writeWord(register, value, !bigEndian),
    readBuffer: (register, byteLength) => i2c.writeRead(Uint8Array.of(register), byteLength),
    writeBuffer: (register, bytes) => i2c.write(Uint8Array.of(register, ...bytes)),
    close: () => i2c.close(),
  }
}
