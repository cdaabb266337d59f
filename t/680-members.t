# People: invitations, passwords, sessions, the cookie and what protects it,
# the second factor, limits of tries; roles as with keys.

use lib 't/lib';
use MCHost::Test;
use Digest::SHA qw(hmac_sha1 sha256_hex);

my $t = MCHost::Test->new;
my ($red, $blue) = map { $t->tenant($_) } qw(red blue);
my $secret = 'correct horse battery';

sub member {
    my ($tenant, $email, $role, %o) = @_;

    my $r = $t->api(POST => '/members', key => $tenant->{key}, body => { email => $email, role => $role, name => $email });
    $r->status == 201 or die $r->body;
    my $a = $t->api(POST => '/members/accept', body => { token => $r->json->{invitation}, password => $o{password} // $secret });
    $a->status == 200 or die $a->body;
    return $r->json;
}

sub login {
    my ($email, %o) = @_;

    return $t->api(POST => '/sessions', body => { email => $email, password => $secret, %o });
}

sub cookie { my ($r) = @_; return ($r->header('Set-Cookie') // '') =~ /^(__Host-mchost=[^;]+)/ ? $1 : undef }

sub code {
    my ($base32, $step) = @_;

    my $bits = join '', map { sprintf '%05b', index 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567', $_ } split //, $base32;
    my $h = hmac_sha1(pack('NN', 0, int(time / 30) + ($step // 0)), pack 'B*', substr $bits, 0, length($bits) - length($bits) % 8);
    return sprintf '%06d', (unpack('N', substr $h, ord(substr $h, 19) & 15, 4) & 0x7fffffff) % 1_000_000;
}

subtest 'an invitation' => sub {
    my $r = $t->api(POST => '/members', key => $red->{key}, body => { email => 'Ann@Example.org', role => 'admin' });
    is($r->status, 201, 'made') or diag $r->body;
    my $m = $r->json;
    is($m->{email}, 'ann@example.org', 'in lower case');
    is($m->{state}, 'Invited', 'state');
    is($t->api(POST => '/members', key => $red->{key}, body => { email => 'ann@example.org' })->status, 409, 'once');
    is(login('ann@example.org')->status, 401, 'no log-in yet');
    is($t->api(POST => '/members/accept', body => { token => $m->{invitation}, password => 'short' })->json->{errors}[0]{pointer}, '/password', 'a password that is too short');
    is($t->api(POST => '/members/accept', body => { token => 'x', password => $secret })->status, 401, 'no invitation');
    is($t->api(GET => '/me', headers => { Authorization => "Bearer $m->{invitation}" })->status, 401, 'it is no credential');
    $r = $t->api(POST => '/members/accept', body => { token => $m->{invitation}, password => $secret, name => 'Ann' });
    is($r->status, 200, 'accepted') or diag $r->body;
    is($r->json->{state}, 'Active', 'active');
    is($t->api(POST => '/members/accept', body => { token => $m->{invitation}, password => $secret })->status, 401, 'not twice');
    like($t->sql("SELECT password_hash FROM members WHERE email = 'ann\@example.org'"), qr/^\$argon2id\$/, 'argon2id');
};

subtest 'a session' => sub {
    is(login('ann@example.org', password => 'wrong')->status, 401, 'a wrong password');
    is(login('nobody@example.org')->status, 401, 'an unknown address');
    my ($wrong, $unknown) = map { { %{ $_->json }, requestId => 0 } } login('ann@example.org', password => 'wrong'), login('nobody@example.org');
    is_deeply($wrong, $unknown, 'say the same');

    my $r = login('ANN@example.org');
    is($r->status, 201, 'logged in') or diag $r->body;
    like($r->header('Set-Cookie'), qr/^__Host-mchost=mcs_[^;]+; Path=\/; Secure; HttpOnly; SameSite=Strict; Max-Age=43200$/, 'the cookie');
    my ($c, $csrf) = (cookie($r), $r->json->{csrfToken});
    my ($token) = $c =~ /=(.*)/;
    is($t->sql("SELECT count(*) FROM sessions WHERE token_hash = '" . sha256_hex($token) . "'"), '1', 'only its hash is kept');
    my $me = $t->api(GET => '/me', headers => { Cookie => $c })->json;
    is($me->{member}{email}, 'ann@example.org', 'me');
    is($me->{member}{role}, 'admin', 'role');
    is($t->api(GET => '/servers', headers => { Cookie => "a=b; $c" })->status, 200, 'reads');

    my $make = sub { $t->api(POST => '/servers', headers => { Cookie => $c, @_ }, body => { name => 's' . int(rand 1e9), spec => $t->spec }) };
    is($make->()->status, 403, 'a change without the token');
    is($make->()->json->{type}, 'urn:mchost:problem:csrf', 'because of that');
    is($make->('X-CSRF-Token' => 'a' x 64)->status, 403, 'with a wrong one');
    is($make->('X-CSRF-Token' => $csrf, 'Sec-Fetch-Site' => 'cross-site')->status, 403, "from another's page");
    is($make->('X-CSRF-Token' => $csrf, Origin => 'https://evil.example')->status, 403, 'of another origin');
    is($make->('X-CSRF-Token' => $csrf, 'Sec-Fetch-Site' => 'same-origin', Origin => 'http://127.0.0.1')->status, 201, 'from our own');
    is($t->sql("SELECT count(*) FROM audit WHERE action = 'server.create' AND member_id IS NOT NULL AND key_id IS NULL"), '1', 'the audit names the member');
    is($t->api(GET => '/members', headers => { Cookie => $c })->status, 200, 'an admin sees members');
    my $key = $t->api(POST => '/keys', headers => { Cookie => $c, 'X-CSRF-Token' => $csrf }, body => { name => 'x', role => 'owner' });
    is($key->json->{errors}[0]{pointer}, '/role', 'and makes no owner');

    is($t->api(DELETE => '/sessions/current', headers => { Cookie => $c, 'X-CSRF-Token' => $csrf })->status, 204, 'logged out');
    is($t->api(GET => '/me', headers => { Cookie => $c })->status, 401, 'dead at once');
    unlike(slurp($t->nginx->{log}) . slurp("$t->{dir}/access.log"), qr/\Q$token\E|\Q$secret\E/, 'no token or password in a log');
    is($t->api(GET => '/me', headers => { Cookie => "__Host-mchost=$red->{key}" })->status, 401, 'a key is no cookie');
};

subtest 'roles' => sub {
    my $bob = member($red, 'bob@example.org', 'viewer');
    my $c = cookie(login('bob@example.org'));
    is($t->api(GET => '/members', headers => { Cookie => $c })->status, 403, 'a viewer manages nobody');
    is($t->api(PATCH => "/members/$bob->{id}", key => $red->{key}, body => { role => 'admin' })->status, 200, 'becomes an admin');
    is($t->api(GET => '/members', headers => { Cookie => $c })->status, 200, 'at once, in his session');
    my $admin = $t->key($red, role => 'admin');
    my $own = member($red, 'owner@example.org', 'owner');
    is($t->api(PATCH => "/members/$own->{id}", key => $admin, body => { role => 'viewer' })->status, 403, 'an admin demotes no owner');
    is($t->api(DELETE => "/members/$own->{id}", key => $admin)->status, 403, 'nor removes one');
    is($t->api(PATCH => "/members/$bob->{id}", key => $admin, body => { role => 'owner' })->status, 403, 'nor makes one');
    is($t->api(POST => '/members', key => $admin, body => { email => 'x@example.org', role => 'owner' })->status, 422, 'nor invites one');
    is($t->api(DELETE => "/members/$bob->{id}", key => $admin)->status, 204, 'he goes');
    is($t->api(GET => '/me', headers => { Cookie => $c })->status, 401, 'with his session');
};

subtest 'a password is changed' => sub {
    my $r = login('ann@example.org');
    my ($c, $csrf) = (cookie($r), $r->json->{csrfToken});
    my $other = cookie(login('ann@example.org'));
    my $change = sub { $t->api(POST => '/me/password', headers => { Cookie => $c, 'X-CSRF-Token' => $csrf }, body => { current => $_[0], password => $_[1] }) };
    is($change->('wrong', 'another good one')->json->{errors}[0]{pointer}, '/current', 'not without the old one');
    is($change->($secret, 'another good one')->status, 204, 'changed');
    is($t->api(GET => '/me', headers => { Cookie => $c })->status, 200, 'this session goes on');
    is($t->api(GET => '/me', headers => { Cookie => $other })->status, 401, 'the others end');
    is(login('ann@example.org')->status, 401, 'the old one is none');
    is(login('ann@example.org', password => 'another good one')->status, 201, 'the new one is');
    is($t->api(POST => '/me/password', key => $red->{key}, body => { current => 'x', password => $secret })->status, 403, 'a key has no password');
};

subtest 'the second factor' => sub {
    member($red, 'tom@example.org', 'operator');
    my $r = login('tom@example.org');
    my %h = (Cookie => cookie($r), 'X-CSRF-Token' => $r->json->{csrfToken});
    my $totp = $t->api(POST => '/me/totp', headers => \%h)->json;
    like($totp->{uri}, qr{^otpauth://totp/mchost:tom%40example.org\?secret=\Q$totp->{secret}\E&issuer=mchost$}, 'an URI for the app');
    is(login('tom@example.org')->status, 201, 'not in use before it is confirmed');
    is($t->api(POST => '/me/totp/enable', headers => \%h, body => { code => '000000' })->status, code($totp->{secret}) eq '000000' ? 204 : 422, 'a wrong code');
    is($t->api(POST => '/me/totp/enable', headers => \%h, body => { code => code($totp->{secret}, -1) })->status, 204, 'enabled');
    is(login('tom@example.org')->json->{type}, 'urn:mchost:problem:second-factor', 'now it is asked for');
    is(login('tom@example.org', code => code($totp->{secret}, -1))->status, 401, 'a code that was used');
    my $code = code($totp->{secret}, 0);
    is(login('tom@example.org', code => $code)->status, 201, 'with a code');
    is(login('tom@example.org', code => $code)->status, 401, 'which is good once');
    is($t->api(POST => '/me/totp', headers => \%h)->status, 409, 'it is not replaced');
};

subtest 'tries' => sub {
    my %got;
    $got{ login('brute@example.org', password => "p$_")->status }++ for 1 .. 14;
    cmp_ok($got{401}, '<=', 11, 'ten tries of an address');
    cmp_ok($got{429}, '>=', 3, 'and no more');
    my $r = login('brute@example.org');
    cmp_ok($r->header('Retry-After'), '>=', 1, 'Retry-After');
};

subtest 'tenancy' => sub {
    my $list = $t->api(GET => '/members', key => $red->{key})->json->{items};
    my $id = $list->[0]{id};
    is($t->api(GET => '/members', key => $blue->{key})->body =~ /example/, '', "no other tenant's members");
    is($t->api(GET => "/members/$id", key => $blue->{key})->status, 404, 'nor one of them');
    is($t->api(PATCH => "/members/$id", key => $blue->{key}, body => { role => 'viewer' })->status, 404, 'nor changed');
    is($t->api(DELETE => "/members/$id", key => $blue->{key})->status, 404, 'nor removed');
    my $s = $t->sql("SELECT id FROM sessions WHERE tenant_id = '$red->{id}' LIMIT 1");
    is($t->api(DELETE => "/sessions/$s", key => $blue->{key})->status, 404, 'nor a session ended');
    my $as = sub { $t->sql($_[0], user => 'mchost_api') };
    is($as->("SELECT count(*) FROM $_"), '0', "$_: nothing without a tenant") for qw(members sessions);
    is($as->("SELECT set_config('app.tenant_id', '$blue->{id}', false); SELECT count(*) FROM members") =~ /(\d+)$/ && $1, '0', 'as blue, nothing of red');
    ok(!eval { $as->("SELECT set_config('app.tenant_id', '$red->{id}', false), set_config('app.role', 'admin', false); UPDATE members SET role = 'owner'"); 1 }, 'the policies let no admin make an owner');
};

done_testing;
