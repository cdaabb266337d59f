# Who may do what: no key, malformed, unknown, expired, revoked; each role
# against each route.

use lib 't/lib';
use MCHost::Test;

my $t = MCHost::Test->new;
my $acme = $t->tenant('acme');

subtest 'keys that are not good' => sub {
    my $expired = $t->key($acme, expires => "now() - interval '1 second'");
    my $revoked = $t->key($acme, revoked => 'now()');
    my ($unknown) = new_token(uuid7());
    my $good = $acme->{key};
    (my $flipped = $good) =~ s/(.)$/$1 eq 'A' ? 'B' : 'A'/e;

    my %auth = (
        'no header'           => undef,
        'empty'               => '',
        'only the scheme'     => 'Bearer',
        'scheme and a space'  => 'Bearer ',
        'another scheme'      => 'Basic dXNlcjpwYXNz',
        'no token of ours'    => 'Bearer abc',
        'too short'           => 'Bearer ' . substr($good, 0, -1),
        'too long'            => "Bearer ${good}A",
        'a wrong character'   => 'Bearer ' . substr($good, 0, -1) . '!',
        'a NUL-like escape'   => 'Bearer ' . substr($good, 0, -3) . '%00',
        'two tokens'          => "Bearer $good $good",
        'very long'           => 'Bearer ' . 'x' x 4000,
        'SQL'                 => "Bearer mch_' OR 1=1 --",
        'unknown'             => "Bearer $unknown",
        'one character off'   => "Bearer $flipped",
        'expired'             => "Bearer $expired",
        'revoked'             => "Bearer $revoked",
    );

    for my $name (sort keys %auth) {
        my $r = $t->api(GET => '/me', headers => { Authorization => $auth{$name} });
        is($r->status, 401, $name);
        like($r->header('Content-Type'), qr{^application/problem\+json}, "$name: a problem document");
        like($r->header('WWW-Authenticate') // '', qr/^Bearer/, "$name: WWW-Authenticate");
        is($r->json->{status}, 401, "$name: status in the body");
    }

    unlike(slurp($t->nginx->{log}), qr/\Q$good\E|\Q$expired\E/, 'no key in the error log');
    unlike(slurp("$t->{dir}/access.log"), qr/\Q$good\E/, 'nor in the access log');
};

subtest 'a good key' => sub {
    my $r = $t->api(GET => '/me', key => $acme->{key});
    is($r->status, 200, 'me');
    is($r->json->{tenant}{id}, $acme->{id}, 'tenant');
    is($r->json->{tenant}{name}, 'acme', 'its name');
    is($r->json->{key}{role}, 'owner', 'role');
    unlike($r->body, qr/\Q$acme->{key}\E/, 'the key itself is not shown');

    is($t->api(GET => '/me', headers => { Authorization => "bearer $acme->{key}" })->status, 200, 'the scheme is case-insensitive');

    my $later = $t->key($acme, expires => "now() + interval '1 hour'");
    is($t->api(GET => '/me', key => $later)->status, 200, 'a key that expires later');
};

subtest 'a revoked key is dead at once' => sub {
    my $key = $t->key($acme);
    is($t->api(GET => '/me', key => $key)->status, 200, 'works');
    my (undef, $hash) = (undef, Digest::SHA::sha256_hex($key));
    $t->sql("UPDATE api_keys SET revoked_at = now() WHERE key_hash = '$hash'");
    is($t->api(GET => '/me', key => $key)->status, 401, 'and does not');
};

subtest 'a key that expires while it is used' => sub {
    my $key = $t->key($acme, expires => "now() + interval '1 second'");
    is($t->api(GET => '/me', key => $key)->status, 200, 'works');
    wait_for { $t->api(GET => '/me', key => $key)->status == 401 } 'expiry', 10;
    pass('until it does not');
};

subtest 'roles and routes' => sub {
    my %key = map { $_ => $t->key($acme, role => $_) } qw(viewer operator admin owner);
    my @rank = qw(viewer operator admin owner);
    my $id = $t->server($acme, 'one')->{id};

    # method, path, least role, body, status when allowed
    my @routes = (
        [ GET => '/servers', 'viewer', undef, 200 ],
        [ GET => "/servers/$id", 'viewer', undef, 200 ],
        [ GET => '/me', 'viewer', undef, 200 ],
        [ POST => "/servers/$id/actions/start", 'operator', undef, 202 ],
        [ POST => "/servers/$id/actions/stop", 'operator', undef, 202 ],
        [ POST => "/servers/$id/actions/restart", 'operator', undef, qr/^(202|409)$/ ],
        [ POST => "/servers/$id/console", 'operator', { command => 'list' }, qr/^(503|504|409)$/ ],
        [ PATCH => "/servers/$id", 'admin', { spec => { displayName => 'x' } }, 200 ],
        [ POST => '/servers', 'admin', undef, 201 ],
        [ DELETE => "/servers/$id", 'admin', undef, qr/^20[024]$/ ],
    );

    # the console asks a reconciler that is not there: 10 s each, all at once
    for my $route (@routes) {
        my ($method, $path, $least, $body, $want) = @$route;
        my ($min) = grep { $rank[$_] eq $least } 0 .. 3;
        my %conn;

        for my $i (0 .. 3) {
            my $role = $rank[$i];
            next if $method eq 'DELETE' && $i == 3;
            my $b = $path eq '/servers' && $method eq 'POST' ? { name => "new-$role", spec => $t->spec } : $body;
            my %h;
            $h{'If-Match'} = $t->api(GET => "/servers/$id", key => $acme->{key})->header('ETag') if $method eq 'PATCH';
            $conn{$role} = $t->api_begin($method, $path, key => $key{$role}, body => $b, headers => \%h);
            $conn{$role}{answer} = $conn{$role}->receive unless $path =~ /console/;
        }

        for my $i (0 .. 3) {
            my $c = $conn{ $rank[$i] } or next;
            my $r = $c->{answer} // $c->receive;
            my $what = "$method " . $path =~ s/\Q$id\E/{id}/r . " as $rank[$i]";
            if ($i < $min) { is($r->status, 403, "$what: forbidden") }
            elsif (ref $want) { like($r->status, $want, "$what: allowed") }
            else { is($r->status, $want, "$what: allowed") or diag $r->body }
        }
    }

    is($t->sql("SELECT count(*) FROM servers WHERE name IN ('new-viewer', 'new-operator')"), '0', 'the forbidden wrote nothing');
    is($t->sql("SELECT count(*) FROM servers WHERE name IN ('new-admin', 'new-owner')"), '2', 'the allowed did');
    is($t->sql("SELECT servers FROM tenant_usage WHERE tenant_id = '$acme->{id}'"), '2', 'the quota counts what is there');
};

done_testing;
