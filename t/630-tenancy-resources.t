# The tenant wall around every resource: another tenant's ids are unknown ids
# on every route, the policies hold alone when the statements' own conditions
# are gone, and a key with a list of servers sees what belongs to those.

use lib 't/lib';
use MCHost::Test;

my $t = MCHost::Test->new(nginx => { CONNECTIONS => 1 });
my ($red, $blue) = map { $t->tenant($_) } qw(red blue);
my $addon = { name => 'map', kind => 'Plugin', source => { modrinth => { project => 'map' } } };
my %server = map { $_->{name} => $t->server($_, 'main', addons => [$addon], access => { operators => [ { name => 'Notch' } ] }) } $red, $blue;
my %backup;

# Everything that a server can have, for each of the two.
for my $who ($red, $blue) {
    my $s = $server{ $who->{name} };
    my $backup = $backup{ $who->{name} } = uuid7();
    $t->sql("INSERT INTO server_status (tenant_id, server_id, observed_generation, status) VALUES ('$who->{id}', '$s->{id}', 1, '{\"state\": \"Running\"}')");
    $t->sql("INSERT INTO server_events (tenant_id, id, server_id, type, reason) VALUES ('$who->{id}', '" . uuid7() . "', '$s->{id}', 'Normal', 'of-$who->{name}')");
    $t->sql("INSERT INTO server_metrics (tenant_id, server_id, at, players) VALUES ('$who->{id}', '$s->{id}', now(), 3)");
    $t->sql("INSERT INTO server_backups (tenant_id, id, server_id, trigger, state) VALUES ('$who->{id}', '$backup', '$s->{id}', 'Manual', 'Succeeded')");
    $s->{op} = $t->api(POST => "/servers/$s->{id}/actions/stop", key => $who->{key}, headers => { 'Idempotency-Key' => "of-$who->{name}" })->json->{id};
}

my @routes = (
    [ GET => '' ], [ PATCH => '', { spec => { displayName => 'hacked' } } ], [ PUT => '', { name => 'main', spec => $t->spec } ], [ DELETE => '' ],
    map({ [ POST => "/actions/$_" ] } qw(start stop restart kill hibernate wake)), [ GET => '/operations/%OP%' ],
    [ POST => '/console', { command => 'list' } ], [ GET => '/logs' ], [ GET => '/logs?after=0-0' ], [ GET => '/metrics' ], [ GET => '/players' ], [ POST => '/players/x/kick' ],
    map({ [ POST => "/players/x/$_" ], [ DELETE => "/players/Notch/$_" ] } qw(op ban allow)),
    [ GET => '/addons' ], [ POST => '/addons', { %$addon, name => 'more' } ], [ GET => '/addons/map' ], [ DELETE => '/addons/map' ],
    [ GET => '/backups' ], [ POST => '/backups' ], [ GET => '/backups/%BACKUP%' ], [ DELETE => '/backups/%BACKUP%' ], [ POST => '/backups/%BACKUP%/restore' ]);

# What blue has, as its own key and the superuser see it.
sub blue {
    my $id = $server{blue}{id};
    return join "\n", map({ $t->api(GET => $_, key => $blue->{key})->body } "/servers/$id", "/servers/$id/backups", '/events', "/servers/$id/players"),
        map { $t->sql("SELECT coalesce(json_agg(x)::text, '') FROM (SELECT * FROM $_ WHERE tenant_id = '$blue->{id}' ORDER BY 1, 2) x") }
        qw(servers server_status server_events server_metrics server_backups tenant_usage idempotency_keys audit);
}

my $before = blue();

subtest 'ids of another tenant, on every route' => sub {
    for (@routes) {
        my ($method, $path, $body) = @$_;
        my %o = (key => $red->{key}, body => $body, headers => $method =~ /^P(UT|ATCH)/ ? { 'If-Match' => '*' } : {});
        my $fill = sub { my ($p, $op, $b) = @_; return $p =~ s/%OP%/$op/r =~ s/%BACKUP%/$b/r };
        my $there = $t->api($method, "/servers/$server{blue}{id}" . $fill->($path, $server{blue}{op}, $backup{blue}), %o);
        my $never = $t->api($method, '/servers/' . uuid7() . $fill->($path, uuid7(), uuid7()), %o);
        is($there->status, 404, "$method /servers/{id}$path") or diag $there->body;
        my ($a, $b) = map { my $d = $_->json; delete $d->{requestId}; $d } $there, $never;
        is_deeply($a, $b, 'as if there were none');
        is($there->header('ETag'), undef, 'no ETag');

        # what lies below one's own server is not reached with another's id
        next unless $path =~ /%/;
        is($t->api($method, "/servers/$server{red}{id}" . $fill->($path, $server{blue}{op}, $backup{blue}), %o)->status, $path =~ /restore/ ? 501 : 404, "$method $path below one's own");
    }
    is(blue(), $before, 'blue is as it was');
};

subtest 'in queries, bodies and cursors' => sub {
    my @q = ((map { "/$_?server=$server{blue}{id}" } 'events', 'audit'), (map { "$_?after=$server{blue}{id}" } '/events', '/audit', '/servers', "/servers/$server{red}{id}/backups"),
        "/servers?q=main&after=$server{blue}{id}", '/servers?q=main', '/servers?state=Running');
    for (@q) {
        my $r = $t->api(GET => $_, key => $red->{key});
        is($r->status, 200, $_ =~ s/\Q$server{blue}{id}\E/{blue}/r);
        ok(index($r->body, $_) < 0, 'nothing of blue') for $blue->{id}, 'of-blue';
        ok(!grep({ ($_->{tenantId} // $red->{id}) ne $red->{id} } @{ $r->json->{items} }), 'all is of red');
    }
    is($t->api(POST => '/messages', key => $red->{key}, body => { servers => [ $server{blue}{id} ], topic => 'x', data => 1 })->status, 422, 'messages');
    my $r = $t->api(POST => "/servers/$server{red}{id}/actions/stop", key => $red->{key}, headers => { 'Idempotency-Key' => 'of-blue' });
    is($r->status, 202, "another tenant's Idempotency-Key");
    is($r->header('Idempotency-Replayed'), undef, 'is a new one');
};

subtest 'SQL in every place' => sub {
    my @evil = (q{'}, q(' OR '1'='1), q{";--}, q($1), '{}', '\\', q{1;SELECT pg_sleep(9)}, q{') || set_config('app.tenant_id','x',false) --}, 'x' x 5000);
    my @bad;
    my $enc = sub { $_[0] =~ s/([^A-Za-z0-9])/sprintf '%%%02x', ord $1/ger };
    for my $e (map { $enc->($_) } @evil) {
        my $own = $server{red}{id};
        for (map({ [ $_->[0], "/servers/$e$_->[1]", $_->[2] ] } @routes), [ GET => "/servers/$own/operations/$e" ], [ GET => "/servers/$own/backups/$e" ], [ DELETE => "/servers/$own/backups/$e" ],
            [ GET => "/servers/$own/addons/$e" ], [ DELETE => "/servers/$own/addons/$e" ], [ POST => "/servers/$own/players/$e/ban" ], [ DELETE => "/servers/$own/players/$e/op" ],
            map({ [ GET => "/servers?$_=$e" ] } qw(q state after limit)), map({ [ GET => "/$_->[0]?$_->[1]=$e" ] } map { my $x = $_; map { [ $x, $_ ] } qw(after server limit) } qw(events audit)),
            map({ [ GET => "/servers/$own/metrics?$_=$e" ] } qw(from to step)), [ GET => "/servers/$own/logs?after=$e" ])
        {
            my $r = $t->api($_->[0] => $_->[1], key => $red->{key}, body => $_->[2], headers => $_->[0] =~ /^P(UT|ATCH)/ ? { 'If-Match' => '*' } : {});
            my $ok = $_->[1] =~ /\?q=/ ? qr/^(200|400)$/ : qr/^(400|404|414|422)$/;
            push @bad, "$_->[0] $_->[1]: " . $r->status unless $r->status =~ $ok;
            push @bad, "$_->[0] $_->[1]: leaks" if index($r->body, $blue->{id}) >= 0;
        }
    }
    is_deeply(\@bad, [], 'refused everywhere') or diag join "\n", @bad[ 0 .. ($#bad > 10 ? 10 : $#bad) ];
};

subtest 'tables' => sub {
    my $as = sub { $t->sql($_[0], user => 'mchost_api') };
    for my $table (qw(idempotency_keys server_events server_metrics server_backups)) {
        is($as->("SELECT count(*) FROM $table"), '0', "$table: nothing without a tenant");
        my $n = $as->("SELECT set_config('app.tenant_id', '$red->{id}', false); SELECT count(*) FROM $table WHERE tenant_id <> '$red->{id}'");
        is($n =~ /(\d+)$/ && $1, '0', "$table: as red, nothing of blue");
        is($t->sql("SELECT relrowsecurity AND relforcerowsecurity FROM pg_class WHERE relname = '$table'"), 't', "$table: forced");
    }
    my $does = sub { eval { $as->("SELECT set_config('app.tenant_id', '$red->{id}', false); $_[0]"); 1 } };
    ok(!$does->($_), "the API may not: $_") for 'UPDATE server_events SET message = NULL', 'DELETE FROM server_events', 'UPDATE server_backups SET state = NULL', 'DELETE FROM server_metrics',
        "INSERT INTO server_metrics (tenant_id, server_id, at) VALUES ('$red->{id}', '$server{red}{id}', now())", "INSERT INTO server_backups (tenant_id, id, server_id, trigger, state) VALUES ('$red->{id}', '$red->{id}', '$server{red}{id}', 'Manual', 'Pending')",
        "INSERT INTO server_events (tenant_id, id, server_id, type, reason) VALUES ('$blue->{id}', '$red->{id}', '$server{blue}{id}', 'Normal', 'x')",
        "INSERT INTO idempotency_keys (tenant_id, owner, key, fingerprint, expires_at) VALUES ('$blue->{id}', 'x', 'x', repeat('a', 64), now())";
};

# Every statement of the API without its conditions on the tenant, as the API
# role and as red, with blue's ids.
subtest 'policies hold without the statements\' help' => sub {
    my (%fragment, @statement);
    for my $file (glob 'sql/statements*.sql') {
        for my $part (split /^(?=-- (?:name|fragment): )/m, slurp($file)) {
            my ($kind, $name) = $part =~ /^-- (name|fragment): (\S+)/ or next;
            my ($text) = $part =~ /^((?:--[^\n]*\n)+)(.*?)(?=\n\n|\n--|\z)/s ? $2 : '';
            $kind eq 'fragment' ? ($fragment{$name} = $text) : push @statement, [ $name, $part =~ s/^--[^\n]*\n//mgr =~ s/;\s*\z//r =~ s/;.*//sr ];
        }
    }
    my ($run, @leak) = (0);
    for (@statement) {
        my ($name, $text) = @$_;
        next if $name =~ /^(reconciler_|platform_|tenant_(list|get|create|update|delete)|present_|authenticate|login|ticket_take|ping)/;
        1 while $text =~ s/(?:\w+\.)?tenant_id = \{\{tenant\}\}/true/g || $text =~ s/\{\{(?!tenant)(\w+)\}\}/$fragment{$1} \/\/ die "no $1"/ge;
        $text =~ s/\{\{tenant\}\}/$fragment{tenant}/g;
        $text =~ s/\$(\d+)(::\w+(?:\[\])?)?/my ($n, $c) = ($1, $2 \/\/ '');
            ($c eq '::uuid[]' ? "'{$server{blue}{id}}'" : $c eq '::uuid' ? ($n == 2 && $name =~ m{^backup} ? "'$backup{blue}'" : $n == 2 ? "'$server{blue}{op}'" : "'$server{blue}{id}'")
            : $c eq '::jsonb' ? "'{}'" : $c eq '::boolean' ? "'false'" : $c =~ m{bigint|double} ? "'1'" : $c eq '::timestamptz' ? "'2030-01-01'" : "''") . ($c eq '::text' ? '::text' : $c)/ge;
        $run++;
        my $said = eval { $t->sql("SELECT set_config('app.tenant_id', '$red->{id}', false), set_config('app.key_id', '" . uuid7() . "', false); $text", user => 'mchost_api') } // '';
        push @leak, $name if $said =~ /\Q$blue->{id}\E|of-blue/;
    }
    cmp_ok($run, '>', 25, 'statements were tried');
    is_deeply(\@leak, [], 'none shows anything of blue');
    is(blue(), $before, 'none changed anything of blue');
};

subtest 'a key with a list of servers' => sub {
    my $two = $t->server($red, 'two');
    my $made = $t->api(POST => '/keys', key => $red->{key}, body => { name => 'one', role => 'admin', servers => [ $two->{id} ] });
    is($made->status, 201, 'a key of one server') or diag $made->body;
    my $key = $made->json->{secret} // $made->json->{token} // $made->json->{key};
    for (@routes) {
        my ($method, $path, $body) = @$_;
        next if $path =~ /%/;
        my %o = (key => $key, body => $body, headers => $method =~ /^P(UT|ATCH)/ ? { 'If-Match' => '*' } : {});
        is($t->api($method, "/servers/$server{red}{id}$path", %o)->status, 404, "another server of the tenant: $method $path");
    }
    for ('/servers', '/servers?q=o', '/events', '/audit') {
        my $r = $t->api(GET => $_, key => $key);
        is($r->status, 200, $_);
        ok(index($r->body, $server{red}{id}) < 0, 'nothing of the other server');
    }
    my $sub = $t->redis->client('reconciler');
    $sub->call('SUBSCRIBE', "mchost:t:$red->{id}:custom");
    is($t->api(POST => '/messages', key => $key, body => { servers => [ $server{red}{id} ], topic => 'x', data => 1 })->status, 422, 'no message to another server');
    is($t->api(POST => '/messages', key => $key, body => { servers => ['*'], topic => 'x', data => 1 }, headers => { 'Idempotency-Key' => 'k' })->status, 202, 'a message to all');
    is((split / /, $sub->message->[1])[1], $two->{id}, 'goes to its own alone');
};

done_testing;
