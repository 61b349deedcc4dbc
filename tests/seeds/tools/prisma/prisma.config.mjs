// Prisma Migrate with the schema engine that its package contains as WebAssembly, so that no engine is downloaded.
import { PrismaPg } from "@prisma/adapter-pg";
import pg from "pg";

// The adapter does not know some types of PostgreSQL's catalog that the schema engine reads, such as `name`.
const TEXT = { 18: 25, 19: 25, 1002: 1009, 1003: 1009 };
const typed = (found) => {
  for (const field of found?.fields ?? []) field.dataTypeID = TEXT[field.dataTypeID] ?? field.dataTypeID;
  return found;
};

class Client extends pg.Client {
  query(...given) {
    const answer = given.at(-1);
    if (typeof answer === "function") {
      return super.query(...given.slice(0, -1), (error, found) => answer(error, typed(found)));
    }
    const found = super.query(...given);
    return found?.then ? found.then(typed) : found;
  }
}

// Prisma leaves a timer of ten seconds, for which the process would wait after the last migration.
const later = globalThis.setTimeout;
globalThis.setTimeout = (call, time, ...given) => {
  const timer = later(call, time, ...given);
  return time < 5000 ? timer : timer.unref();
};

export default {
  experimental: { adapter: true },
  engine: "js",
  schema: process.env.PRISMA_SCHEMA,
  adapter: async () => new PrismaPg(new pg.Pool({ connectionString: process.env.DATABASE_URL, Client, allowExitOnIdle: true })),
};
