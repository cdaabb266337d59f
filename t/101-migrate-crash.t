# Migrations that are cut off at any point, or meet another's lease: the next
# run makes the same schema.

use lib 't/lib';
use MCHost::Test;
use Time::HiRes qw(sleep time);

my $t = MCHost::Test->new(migrate => 0, nginx => 0, redis => 0);
my $pg = $t->pg;

sub migrate { return $t->recon->run('--migrate') }
sub fresh   { $pg->sql("DROP DATABASE $_", db => 'postgres') for 'mchost'; $pg->sql('CREATE DATABASE mchost OWNER mchost_owner', db => 'postgres') }
sub ledger  { return $t->sql('SELECT version, ordinal, sha256 FROM schema_migrations ORDER BY 1, 2') }

# What a schema consists of, for comparison.
sub schema {
    return join "\n", map { $t->sql($_) } (
        "SELECT table_name, column_name, data_type, is_nullable, column_default FROM information_schema.columns WHERE table_schema = 'public' ORDER BY 1, ordinal_position",
        'SELECT tablename, policyname, cmd, roles, qual, with_check FROM pg_policies ORDER BY 1, 2',
        "SELECT indexdef FROM pg_indexes WHERE schemaname = 'public' ORDER BY 1",
        "SELECT relname, relrowsecurity, relforcerowsecurity, relacl FROM pg_class WHERE relnamespace = 'public'::regnamespace ORDER BY 1");
}

my ($reference, $rows, $time);

subtest 'an empty database' => sub {
    my $start = time;
    my ($status, $said) = migrate();
    $time = time - $start;
    is($status, 0, 'applied') or diag $said;
    ($reference, $rows) = (schema(), ledger());
    is($t->sql('SELECT count(*) FROM schema_migrations_lease'), '0', 'the lease is given back');
};

subtest 'several at once' => sub {
    for my $round (1 .. 3) {
        fresh();
        my @p = map { $t->recon->run_async($t->dir . "/at-once.$_", '--migrate') } 1 .. 4;
        is_deeply([ map { $_->wait(60) } @p ], [ 0, 0, 0, 0 ], 'all succeed')
            or diag map { slurp($t->dir . "/at-once.$_") } 1 .. 4;
        my $said = join '', map { slurp($t->dir . "/at-once.$_") } 1 .. 4;
        is(() = $said =~ /001_tenants\.sql is applied/g, 1, 'one did the work');
        is(ledger(), $rows, 'every statement is recorded once');
        is(schema(), $reference, 'the schema is right');
    }
};

subtest 'killed at any point' => sub {
    fresh();
    my ($killed, $cut) = (0, 0);

    # The moment moves on through the run; the dead's lease is made to expire
    # at once.
    for my $n (1 .. 30) {
        my $p = $t->recon->run_async($t->dir . '/killed', '--migrate');
        sleep $time * $n / 25;
        $p->kill9;
        $killed++;
        wait_for { $t->sql("SELECT count(*) FROM pg_stat_activity WHERE usename = 'mchost_owner'") eq '0' } 'its sessions end';
        eval { $t->sql("UPDATE schema_migrations_lease SET expires_at = now() - interval '1 second'") };
        my $done = eval { $t->sql('SELECT count(*) FROM schema_migrations') } // 0;
        $cut++ if $done < split /\n/, $rows;
    }

    my ($status, $said) = migrate();
    is($status, 0, "the run after $killed kills, $cut of them in the middle") or diag $said;
    is(ledger(), $rows, 'every statement is recorded');
    is(schema(), $reference, 'the schema is right');
};

subtest 'done, but killed before it was recorded' => sub {
    for my $row (split /\n/, $rows) {
        my ($version, $ordinal) = split /\|/, $row;
        $t->sql("DELETE FROM schema_migrations WHERE (version, ordinal) >= ($version, $ordinal)");
        my ($status, $said) = migrate();
        is($status, 0, "from statement $version/$ordinal") or diag $said;
    }
    is(schema(), $reference, 'the schema is right');
};

subtest "another's lease" => sub {
    $t->sql("INSERT INTO schema_migrations_lease VALUES (1, 'another', now() + interval '1500 ms')");
    my $start = time;
    my ($status, $said) = migrate();
    is($status, 0, 'is waited for');
    cmp_ok(time - $start, '>=', 1, '… until it ends');
    like($said, qr/waiting/, '… and that is told');
};

subtest 'a statement before those that were applied' => sub {
    $t->sql('DELETE FROM schema_migrations WHERE version = 1 AND ordinal = 2');
    my ($status, $said) = migrate();
    is($status, 1, 'is refused');
    like($said, qr/001_tenants\.sql:\d+: statement 2 is new, but later ones were applied/, '… with the reason');
    is($t->sql('SELECT count(*) FROM schema_migrations_lease'), '0', '… and the lease is given back');
};

done_testing;
