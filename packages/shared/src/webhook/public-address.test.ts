import { expect, test } from "vitest";
import { isPublicAddress, literalAddressOf } from "./public-address.ts";

test.each(["1.1.1.1", "8.8.8.8", "93.184.215.14", "2606:4700::1111", "2a00:1450:4001:82a::200e"])(
  "%s is public",
  (address) => expect(isPublicAddress(address)).toBe(true),
);

test.each([
  ["127.0.0.1", "loopback"],
  ["127.8.8.8", "loopback"],
  ["0.0.0.0", "this host"],
  ["10.1.2.3", "private"],
  ["172.31.255.255", "private"],
  ["192.168.0.1", "private"],
  ["100.64.0.1", "carrier-grade NAT"],
  ["100.100.100.200", "metadata in carrier-grade NAT"],
  ["169.254.169.254", "metadata"],
  ["168.63.129.16", "a cloud's host"],
  ["192.0.0.192", "metadata"],
  ["192.0.2.1", "documentation"],
  ["198.18.0.1", "benchmarks"],
  ["224.0.0.1", "multicast"],
  ["240.0.0.1", "reserved"],
  ["255.255.255.255", "broadcast"],
  ["::", "this host"],
  ["::1", "loopback"],
  ["fe80::1", "link-local"],
  ["fc00::1", "unique local"],
  ["fd00:ec2::254", "metadata"],
  ["fec0::1", "site-local"],
  ["ff02::1", "multicast"],
  ["::ffff:127.0.0.1", "IPv4-mapped"],
  ["::ffff:8.8.8.8", "IPv4-mapped"],
  ["::127.0.0.1", "IPv4-compatible"],
  ["::ffff:0:7f00:1", "translated"],
  ["64:ff9b::7f00:1", "NAT64"],
  ["64:ff9b:1::7f00:1", "local NAT64"],
  ["2002:7f00:1::", "6to4"],
  ["2001:0:1::", "Teredo"],
  ["2001:db8::1", "documentation"],
  ["100::1", "discard"],
])("%s is not public: %s", (address) => expect(isPublicAddress(address)).toBe(false));

test("a name is no address", () => {
  expect(() => isPublicAddress("example.com")).toThrow(RangeError);
  expect(() => isPublicAddress("")).toThrow(RangeError);
});

test.each([
  ["http://127.0.0.1:9/", "127.0.0.1"],
  ["http://2130706433/", "127.0.0.1"],
  ["http://0x7f.1/", "127.0.0.1"],
  ["http://[::1]/", "::1"],
  ["https://[::ffff:10.0.0.1]/", "::ffff:a00:1"],
  ["https://example.com/", null],
])("%s names the address %s", (url, address) => expect(literalAddressOf(new URL(url))).toBe(address));
