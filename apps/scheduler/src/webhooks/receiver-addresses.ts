import { lookup } from "node:dns/promises";
import { isIP } from "node:net";
import { isPublicAddress, literalAddressOf } from "@quern/shared/webhook/public-address";

export interface ReceiverAddress {
  address: string;
  family: number;
}

/** All addresses of a name, in the order they are to be tried. */
export type Resolve = (name: string) => Promise<ReceiverAddress[]>;

export const resolveName: Resolve = (name) => lookup(name, { all: true });

/** Why there is nothing to connect to, for the job's owner to read. */
export class ReceiverRefused extends Error {
  override readonly name = "ReceiverRefused";
}

/**
 * The addresses of a receiver, to be connected to as they are: a name that is resolved again may lead elsewhere. One
 * address of a name that is not public is enough to refuse it.
 * @throws ReceiverRefused, or what `resolve` fails of.
 */
export async function receiverAddresses(
  url: URL,
  privateReceivers: "allowed" | "refused",
  resolve: Resolve,
): Promise<ReceiverAddress[]> {
  const literal = literalAddressOf(url);
  const addresses =
    literal === null ? await resolve(url.hostname) : [{ address: literal, family: isIP(literal) }];
  if (addresses.length === 0) throw new ReceiverRefused("the name has no address");
  if (privateReceivers === "allowed") return addresses;
  const refused = addresses.find(({ address }) => !isPublicAddress(address));
  if (refused === undefined) return addresses;
  throw new ReceiverRefused("the receiver's address is not of the public internet");
}
