#!/usr/bin/perl
# Benchmarks side by side with peers, in one run on one machine: every round
# measures mchost and its peer one after the other, and the medians of the
# rounds make the ratio. Prints a line per ratio and writes DIR/NAME.json.
#
#   perl -It/lib bench/run.pl DIR [NAME …]
#
# ROUNDS (3) and SECONDS (6) by environment.

use MCHost::Test;
use File::Path qw(make_path);
use JSON::PP ();

my ($dir, @only) = @ARGV;
my $rounds = $ENV{ROUNDS} // 3;
my $seconds = $ENV{SECONDS} // 6;
my $tenants = 1000;             # with 20 servers each
my $presented = 40;             # of whose keys the load uses
my $bin = root() . '/build/bench';

my $t = MCHost::Test->new(nginx => {
    WORKERS => 1, WORKER_CONNECTIONS => 8192, LOG_LEVEL => 'error', CONNECTIONS => 4, PIPELINE => 16,
    QUEUE => '4096 timeout=5s', MAIN => 'worker_rlimit_nofile 16384;' });

make_path($dir // die "usage: run.pl DIR\n");
my @tokens = seed();

my %bench = ('list-c64' => \&list, 'fanout-n1000' => \&fanout);
for my $name (@only ? @only : sort keys %bench) {
    ($bench{$name} // die "no benchmark $name\n")->($name);
}

$t->clean;
exit 0;


# The tenants, and servers as the API itself stores them: one made over REST
# gives the spec for all.
sub seed {
    my $first = $t->tenant('bench');
    $t->server($first, 'one');
    my @tokens;

    $t->sql("
        INSERT INTO tenants (tenant_id, name) SELECT gen_random_uuid(), 'tenant-' || n FROM generate_series(1, $tenants) n;
        INSERT INTO tenant_usage (tenant_id, servers) SELECT tenant_id, 20 FROM tenants ON CONFLICT DO NOTHING;
        INSERT INTO servers (tenant_id, id, name, spec)
        SELECT t.tenant_id, gen_random_uuid(), 'server-' || n, (SELECT spec FROM servers WHERE name = 'one')
          FROM tenants t, generate_series(1, 20) n WHERE t.name LIKE 'tenant-%';
        INSERT INTO server_status (tenant_id, server_id, observed_generation, status)
        SELECT tenant_id, id, 1, '{\"state\": \"Running\", \"observedGeneration\": 1, \"players\": {\"online\": 3, \"max\": 20}}' FROM servers;");

    for my $id (split /\n/, $t->sql("SELECT tenant_id FROM tenants WHERE name LIKE 'tenant-%' LIMIT $presented")) {
        push @tokens, $t->key({ id => $id });
    }

    $t->sql('VACUUM ANALYZE');
    return @tokens;
}


# A page of 20 servers, key presented and resolved in the same round trip,
# through nginx from 64 connections; the peer is pgbench running the very
# statements pipelined, with nothing between it and PostgreSQL.
sub list {
    my ($name) = @_;

    my (%runs, @scripts);
    my $wrk = write_file("$t->{dir}/list.lua", 'local n = 0 local tokens = {' . join(',', map { "'$_'" } @tokens) . '} '
        . 'request = function() n = n % #tokens + 1 return wrk.format("GET", "/api/v1/servers?limit=20",'
        . ' { Authorization = "Bearer " .. tokens[n] }) end '
        . 'done = function(s, l) io.write(string.format("errors %d\n", s.errors.status + s.errors.read + s.errors.timeout + s.errors.connect)) end');

    for my $i (0 .. $#tokens) {
        my $hash = Digest::SHA::sha256_hex($tokens[$i]);
        push @scripts, '-f', write_file("$t->{dir}/list$i.sql", join '', "\\startpipeline\n", statement('present_key', $hash, 5000),
            statement('authenticate', 'viewer', ''), statement('server_list', 20, ''), "\\endpipeline\n");
    }

    local $ENV{PGPASSWORD} = MCHost::Postgres::PASSWORD->{mchost_api};

    for (1 .. $rounds) {
        my $out = command('wrk', '-t1', '-c64', "-d${seconds}s", '--latency', '-s', $wrk, 'http://127.0.0.1:' . $t->port . '/');
        $out =~ /^errors 0$/m or die "wrk saw errors:\n$out";
        push @{ $runs{mchost} }, $out =~ /Requests\/sec:\s+([\d.]+)/;
        push @{ $runs{p50_ms} }, ms($out =~ /50%\s+([\d.]+)(us|ms|s)/);
        push @{ $runs{p99_ms} }, ms($out =~ /99%\s+([\d.]+)(us|ms|s)/);

        for my $clients (4, 8) {
            my $said = command(MCHost::Postgres::bin() . '/pgbench', qw(-n -M prepared -j 2 -c), $clients, '-T', $seconds, @scripts,
                '-h', $t->pg->socket_dir, '-U', 'mchost_api', 'mchost');
            push @{ $runs{"pgbench_c$clients"} }, $said =~ /^tps = ([\d.]+)/m;
        }
    }

    my %m = map { $_ => median(@{ $runs{$_} }) } keys %runs;
    $m{pgbench} = $m{pgbench_c4} > $m{pgbench_c8} ? $m{pgbench_c4} : $m{pgbench_c8};
    report($name, 'mchost/pgbench', $m{mchost} / $m{pgbench}, sprintf('%.0f/s, p50 %.1f ms, p99 %.1f ms against %.0f/s',
            @m{qw(mchost p50_ms p99_ms pgbench)}), \%runs);
}


# One tenant's status events through Redis to 1,000 sockets of one worker;
# the peer is a bare loop of send() that reads the same channel.
sub fanout {
    my ($name) = @_;

    my %runs;
    my $tenant = $t->tenant('fanout');
    $t->server($tenant, 'one');
    my $token = write_file("$t->{dir}/token", $tenant->{key});
    my $password = write_file("$t->{dir}/redis-password", MCHost::Redis::PASSWORD->{admin});
    my $channel = "mchost:t:$tenant->{id}:status";
    my @redis = ('-r', $t->redis->path, '-u', 'admin', '-P', $password, '-c', $channel);
    my ($worker) = $t->nginx->workers;

    for (1 .. $rounds) {
        my %args = (mchost => [ '-p', $t->port, '-t', $token, '-d', $worker ]);
        my $port = free_port();
        my $peer = MCHost::Process->spawn(name => 'sendloop', cmd => [ "$bin/sendloop", '-p', $port, @redis ]);
        wait_for { IO::Socket::INET->new(PeerAddr => "127.0.0.1:$port") } 'sendloop';
        $args{peer} = [ '-p', $port, '-d', $peer->pid, '-b', 124 ];     # frames of the same size

        for my $w (8, 64) {
            for my $side (qw(mchost peer)) {
                my $out = command("$bin/fanout", '-n', 1000, '-w', $w, '-s', $seconds, @redis, @{ $args{$side} });
                my ($rate, $cpu, $lost) = $out =~ /^(\d+) messages\/s, ([\d.]+) CPU s per million, (\d+) lost/ or die $out;
                die "$side lost $lost messages\n" if $lost;
                push @{ $runs{"${side}_w$w"} }, $rate;
                push @{ $runs{"${side}_cpu_w$w"} }, $cpu;
            }
        }

        $peer->stop('KILL');
    }

    my %m = map { $_ => median(@{ $runs{$_} }) } keys %runs;

    for my $w (8, 64) {
        report("$name-w$w", 'mchost/sendloop', $m{"mchost_w$w"} / $m{"peer_w$w"}, sprintf('%.0fk/s, %.2f CPU s per million against %.0fk/s, %.2f',
                $m{"mchost_w$w"} / 1000, $m{"mchost_cpu_w$w"}, $m{"peer_w$w"} / 1000, $m{"peer_cpu_w$w"}), \%runs);
    }
}


sub statement { return command("$bin/statement", @_) }

sub command {
    my (@cmd) = @_;

    open my $p, '-|', @cmd or die "$cmd[0]: $!";
    my $out = do { local $/; <$p> } // '';
    close $p or die "failed: @cmd[0 .. ($#cmd > 5 ? 5 : $#cmd)] …\n$out";
    return $out;
}

sub write_file {
    my ($file, $text) = @_;

    open my $f, '>', $file or die "$file: $!";
    print $f $text;
    close $f or die "$file: $!";
    return $file;
}

sub ms { my ($v, $unit) = @_; return $v * { us => 0.001, ms => 1, s => 1000 }->{$unit} }

sub median { my @s = sort { $a <=> $b } @_; return @s % 2 ? $s[ @s / 2 ] : ($s[ @s / 2 - 1 ] + $s[ @s / 2 ]) / 2 }

sub report {
    my ($name, $of, $ratio, $text, $runs) = @_;

    printf "%s %s %.2f    (%s)\n", $name, $of, $ratio, $text;
    write_file("$dir/$name.json", JSON::PP->new->canonical->pretty->encode({ name => $name, of => $of, ratio => 0 + sprintf('%.3f', $ratio), runs => $runs }));
}
