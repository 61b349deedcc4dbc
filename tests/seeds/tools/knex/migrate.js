// Run Knex's migrations of a folder: node migrate.js FOLDER
const { knex } = require("knex");
const db = knex({ client: "pg", connection: process.env.DATABASE_URL, migrations: { directory: process.argv[2] } });
db.migrate.latest().then(
  () => db.destroy(),
  (error) => { console.error(error.message); process.exit(1); },
);
