# Run Rails' migrations of a folder: ruby migrate.rb FOLDER
require "logger"
require "active_record"
ActiveRecord::Base.establish_connection(ENV.fetch("DATABASE_URL"))
ActiveRecord::Migration.verbose = false
ActiveRecord::Migrator.migrations_paths = [ARGV.fetch(0)]
ActiveRecord::Base.connection.migration_context.migrate
ActiveRecord::InternalMetadata.create_table
