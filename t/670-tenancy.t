# The tenant wall, route by route: every route of the table is asked with
# another tenant's ids, and with SQL, in its path, its query and its body. Then
# statement by statement: without the conditions that name the tenant, policies
# alone hide what is not one's own. What is the other tenant's carries a mark
# that no answer, no header and no line of the log may show.

use lib 't/lib';
use MCHost::Test;
use MCHost::Routes;
use Digest::SHA qw(sha256_hex);

my $t = MCHost::Test->new;
my $mark = 'leaked4711';
my ($red, $blue) = map { $t->tenant($_) } 'red', $mark;

# -- What there is of a tenant: in every table, with a mark --

sub furnish {
    my ($who, $text) = @_;

    my %id = (tenant => $who->{id}, map { $_ => uuid7() } qw(key member session backup event ticket));
    my %spec = (displayName => $text, access => { operators => [ { name => $text } ] },
        addons => [ { name => $text, kind => 'Plugin', source => { url => "https://example.com/$text.jar" }, sha256 => 'a' x 64 } ]);
    $id{server} = $t->server($who, $text, %spec)->{id};
    my $r = $t->api(POST => "/servers/$id{server}/actions/stop", key => $who->{key}, headers => { 'Idempotency-Key' => 'shared' });
    $id{operation} = $r->json->{id} // die 'no operation: ' . $r->body;
    $id{hash} = { map { $_ => sha256_hex("$text $_") } qw(key session invite ticket) };
    my $own = "'$who->{id}'";
    my $seen = $who == $blue ? 471147 : 1;
    my $srv = "$own, '$id{server}'";
    $t->sql("UPDATE tenants SET max_sockets = 1000 + $seen WHERE tenant_id = $own;"
        . "INSERT INTO api_keys (tenant_id, id, name, key_hash, role) VALUES ($own, '$id{key}', '$text', '$id{hash}{key}', 'viewer');"
        . "INSERT INTO key_use (tenant_id, key_id, used_at) VALUES ($own, '$id{key}', now()) ON CONFLICT DO NOTHING;"
        . "INSERT INTO server_status (tenant_id, server_id, observed_generation, status) VALUES ($srv, 1, '{\"state\": \"Running\", \"message\": \"$text\"}');"
        . "INSERT INTO server_events (tenant_id, server_id, id, type, reason, message) VALUES ($srv, '$id{event}', 'Normal', '$text', '$text');"
        . "INSERT INTO server_metrics (tenant_id, server_id, at, players) VALUES ($srv, now(), $seen);"
        . "INSERT INTO server_backups (tenant_id, server_id, id, trigger, state, message) VALUES ($srv, '$id{backup}', 'Manual', 'Succeeded', '$text');"
        . "INSERT INTO members (tenant_id, id, email, name, role, password_hash, totp_secret, invite_hash, invite_expires_at)"
        . " VALUES ($own, '$id{member}', '$text\@example.com', '$text', 'viewer', '$text', '$text', '$id{hash}{invite}', now() + interval '1 h');"
        . "INSERT INTO sessions (tenant_id, id, member_id, token_hash, role, agent, expires_at)"
        . " VALUES ($own, '$id{session}', '$id{member}', '$id{hash}{session}', 'viewer', '$text', now() + interval '1 h');"
        . "INSERT INTO ws_tickets (tenant_id, id, ticket_hash, kind, credential_hash, origin, expires_at)"
        . " VALUES ($own, '$id{ticket}', '$id{hash}{ticket}', 'key', '$id{hash}{key}', '$text', now() + interval '1 h');"
        . ($who == $blue ? "UPDATE idempotency_keys SET answer = answer || '$text' WHERE tenant_id = $own" : ''));
    $t->redis->client('reconciler')->call('XADD', "mchost:log:$id{server}", '*', time => '2026-01-02T03:04:05Z', data => qq({"line":"$text"}));
    return \%id;
}

my %id = (red => furnish($red, 'private4711'), blue => furnish($blue, $mark));
my @tables = split /\n/, $t->sql("SELECT c.table_name FROM information_schema.columns c JOIN information_schema.tables USING (table_schema, table_name)"
    . " WHERE column_name = 'tenant_id' AND table_schema = 'public' AND table_type = 'BASE TABLE' ORDER BY 1");
my $blues = 'SELECT md5(string_agg(x, chr(10) ORDER BY x)) FROM ('
    . join(' UNION ALL ', map { "SELECT '$_ ' || a::text AS x FROM $_ a WHERE tenant_id = '$blue->{id}'" } @tables) . ') y';
my $before = $t->sql($blues);

is($t->sql("SELECT count(*) FROM $_ WHERE tenant_id = '$blue->{id}'") > 0, 1, "$_ has rows of the other tenant") for @tables;

# -- The routes --

my @routes = MCHost::Routes::all(root);
my %kind = (servers => 'server', keys => 'key', members => 'member', sessions => 'session', 'platform/tenants' => 'tenant', 'platform/keys' => 'key');
my %sub = (operation => 'operation', backup => 'backup', addon => 'addon', player => 'player');
my $spec = $t->spec;

# A body for each that takes one: of the other tenant where it can be.
my %body = (
    'POST /servers'                  => sub { { name => 'wall', spec => $spec, tenantId => $_[0]{tenant} } },
    'PATCH /servers/{id}'            => sub { { spec => { displayName => 'stolen' } } },
    'PUT /servers/{id}'              => sub { { name => $mark, spec => $spec } },
    'POST /servers/{id}/console'     => sub { { command => 'say stolen' } },
    'POST /servers/{id}/addons'      => sub { { name => 'x', kind => 'Plugin', source => { url => 'https://example.com/x.jar' }, sha256 => 'a' x 64 } },
    'POST /messages'                 => sub { { servers => [ $_[0]{server} ], topic => 'x', data => 1 } },
    'POST /keys'                     => sub { { name => 'x', servers => [ $_[0]{server} ] } },
    'POST /members'                  => sub { { email => 'x@example.com', role => 'viewer', tenantId => $_[0]{tenant} } },
    'PATCH /members/{id}'            => sub { { role => 'admin' } },
    'POST /sessions'                 => sub { { email => "$mark\@example.com", password => "wrong pass word", tenant => $_[0]{tenant} } },
    'POST /members/accept'           => sub { { token => 'mci_' . $_[0]{member} =~ tr/-//dr . '_' . 'x' x 43, password => 'a long new pass word' } },
    'POST /me/password'              => sub { { password => 'x', newPassword => 'a long new pass word', member => $_[0]{member} } },
    'POST /me/totp/enable'           => sub { { code => '000000', member => $_[0]{member} } },
    'POST /me/totp/disable'          => sub { { code => '000000', member => $_[0]{member} } },
    'POST /ws-tickets'               => sub { { server => $_[0]{server} } },
    'POST /platform/tenants'         => sub { { name => 'x' } },
    'PATCH /platform/tenants/{id}'   => sub { { name => 'stolen' } },
    'POST /platform/keys'            => sub { { name => 'x' } },
);

my @sql = ("'", "' OR '1'='1", "';SELECT pg_sleep(9)--", '"', '\\', '$1', '{{tenant}}', "\0", "\xff", '%', '_', '*', 'x) OR (1=1', "\x{27}||(SELECT name FROM tenants)||\x{27}", '../..', 'null', '-1');
my @leaks;
my $asked = 0;

# Asks as red (or with another key) and looks whether the mark comes back, or
# an id of blue that was not sent.
sub ask {
    my ($method, $path, %o) = @_;

    my $r = $t->api($method, $path, key => $red->{key}, %o);
    my $said = join "\n", $r->status, @{ $r->{list} }, $r->body;
    my $sent = join ' ', $path, ref $o{body} ? JSON::PP->new->allow_nonref->encode($o{body}) : $o{body} // '';
    $asked++;
    push @leaks, "$method $path: the mark" if $said =~ /$mark/ && $sent !~ /$mark/;
    for my $id (grep { !ref } values %{ $o{secrets} // $id{blue} }) {
        push @leaks, "$method $path: $id" if index(lc $said, $id) >= 0 && index(lc $sent, $id) < 0;
    }
    push @leaks, "$method $path: " . $r->status if $r->status >= 500 && $r->status !~ /^50[13]$/ || !$r->status;
    push @leaks, "$method $path: of the inside: " . $r->body if $r->body =~ /SELECT|pg_|libpq|syntax|invalid input|relation|\.c:\d/i && $sent !~ /SELECT|pg_/i;
    return $r;
}

# An answer without what differs from request to request and without the ids
# that were asked for.
sub shape {
    my ($r, @sent) = @_;

    my $d = $r->json;
    delete $d->{requestId} if ref $d eq 'HASH';
    my $text = join "\n", $r->status, sort(grep { !/^(date|x-request-id|ratelimit[^:]*|retry-after|content-length):/i } @{ $r->{list} }), JSON::PP->new->canonical->allow_nonref->encode($d);
    $text =~ s/\Q$_\E/ID/gi for grep { !ref && length } @sent;
    return $text;
}

sub nobody { return { (map { $_ => uuid7() } qw(tenant server key member session backup operation event)), addon => 'nothing', player => 'Nobody' } }

# The names of a route's path; dies for one that is not known here.
sub names {
    my ($route, $ids) = @_;

    my ($first) = $route->{pattern} =~ m{^(.*?)/\{id\}};
    my %v;
    for ($route->{pattern} =~ /\{(\w+)\}/g) {
        my $what = $_ eq 'id' ? $kind{ $first // '' } : $sub{$_};
        die "$route->{name}: this test knows no {$_} of it; tell it\n" unless $what;
        $v{$_} = $ids->{$what} // ($_ eq 'addon' ? $mark : 'Steve');
    }
    return %v;
}

sub options {
    my ($route, $ids) = @_;

    my %o;
    $o{body} = ($body{ $route->{name} } // die "$route->{name} takes a body: this test has none for it\n")->($ids) if $route->{body} ne 'NONE';
    $o{headers}{'If-Match'} = '*' if $route->{method} =~ /^(PUT|PATCH)$/;
    return %o;
}

# Answers 501 for every server that is one's own.
sub later { return $_[0]{begin} =~ /not_there_yet/ }

sub args { my (%a) = @_; return join '&', map { "$_=" . MCHost::Routes::escape($a{$_}) } sort keys %a }

# Asked with the ids as with ids of nothing: what comes back is the same.
sub same_as_nothing {
    my ($route, $ids, $nothing, %o) = @_;

    my @r;
    for ($ids, $nothing) {
        my $path = MCHost::Routes::path($route->{pattern}, names($route, $_));
        push @r, ask($route->{method}, $path, options($route, $_), %o);
    }
    my $name = $o{name} // $route->{name};
    my $want = $o{want} // ($route->{scope} eq 'PLATFORM' ? qr/^403$/ : qr/^404$/);
    like($r[0]->status, $want, $name) or diag $r[0]->body;
    is(shape($r[0], values %$ids, $mark), shape($r[1], values %$nothing, $mark), '… as if there were none');
}

subtest 'every route has its case' => sub {
    for my $r (@routes) {
        ok(eval { my %n = names($r, $id{blue}); my %o = options($r, $id{blue}); 1 }, $r->{name}) or diag $@;
    }
};

subtest 'ids of another tenant' => sub {
    same_as_nothing($_, $id{blue}, nobody()) for grep { $_->{pattern} =~ /\{/ } @routes;
    # one's own server does not open what is in another's
    for my $r (grep { $_->{pattern} =~ /\{(operation|backup|addon)\}/ } @routes) {
        my %mixed = (%{ $id{blue} }, server => $id{red}{server});
        my %none = (%{ nobody() }, server => $id{red}{server});
        same_as_nothing($r, \%mixed, \%none, name => "$r->{name}, in a server of one's own", want => later($r) ? qr/^501$/ : qr/^404$/);
    }
};

subtest 'ids of another tenant in a body' => sub {
    for my $r (grep { $_->{body} ne 'NONE' && $_->{pattern} !~ /\{/ && $_->{scope} ne 'PLATFORM' } @routes) {
        same_as_nothing($r, $id{blue}, nobody(), want => qr/^4(01|03|09|22|29)$/);
    }
    for my $r (grep { $_->{body} ne 'NONE' && $_->{scope} ne 'PLATFORM' } @routes) {
        for my $member (qw(tenantId tenant_id tenant id server serverId member key)) {
            my %o = options($r, $id{red});
            next if exists $o{body}{$member};
            $o{body}{$member} = $blue->{id};
            my $a = ask($r->{method}, MCHost::Routes::path($r->{pattern}, names($r, $id{red})), %o);
            like($a->status, qr/^4/, "$r->{name} with \"$member\"") or diag $a->body;
        }
    }
};

subtest 'ids of another tenant in a query' => sub {
    for my $r (grep { @{ $_->{args} } } @routes) {
        for my $arg (@{ $r->{args} }) {
            my @answers = map {
                my %v = (after => $_->{event}, server => $_->{server}, q => 'leaked', state => 'Running', limit => 200, purge => 'true', from => '2020-01-01T00:00:00Z');
                my $path = MCHost::Routes::path($r->{pattern}, names($r, $id{blue}));
                my $query = args($arg => $v{$arg} // 60);
                $r->{pattern} =~ /\{/ ? ask($r->{method}, "$path?$query") : ask($r->{method}, "$path?$query");
            } $id{blue}, nobody();
            is(shape($answers[0], values %{ $id{blue} }), shape($answers[1]), "$r->{name} ?$arg=") unless $arg eq 'after';
        }
        my $path = MCHost::Routes::path($r->{pattern}, names($r, $id{red}));
        next if $r->{method} ne 'GET';
        is(ask(GET => "$path?" . args($_ => $blue->{id}))->status, $r->{scope} eq 'PLATFORM' ? 403 : 400, "$r->{name} knows no ?$_=") for qw(tenant tenant_id tenantId);
    }
    for my $kind (qw(server key member session backup event)) {
        for my $r (grep { $_->{method} eq 'GET' && $_->{scope} ne 'PLATFORM' && grep { $_ eq 'after' } @{ $_->{args} } } @routes) {
            my $a = ask(GET => MCHost::Routes::path($r->{pattern}, names($r, $id{red})) . '?' . args(after => $id{blue}{$kind}));
            like($a->status, qr/^(200|400)$/, "$r->{name} from another tenant's $kind");
        }
    }
};

subtest 'SQL in paths and queries' => sub {
    for my $r (@routes) {
        my %v = names($r, $id{red});
        my @bad;
        for my $name (sort keys %v) {
            for my $text (@sql, map { "$v{$name}$_" } @sql) {
                next if $name eq 'player' && $text =~ /^\w+$/;
                my $a = ask($r->{method}, MCHost::Routes::path($r->{pattern}, %v, $name => $text), options($r, $id{red}));
                push @bad, "{$name} $text: " . $a->status if $a->status !~ ($name ne 'id' && later($r) ? qr/^(501|40[045])$/ : qr/^4(00|03|04|05|22)$/);
            }
        }
        my $path = MCHost::Routes::path($r->{pattern}, %v);
        for my $arg (@{ $r->{args} }) {
            for my $text (@sql) {
                my $a = ask($r->{method}, "$path?" . args($arg => $text));
                push @bad, "?$arg= $text: " . $a->status if $a->status !~ /^4(00|03|04)$/ && $arg ne 'q';
            }
        }
        is_deeply(\@bad, [], $r->{name});
    }
};

subtest 'SQL in bodies and headers' => sub {
    my @bad;
    for my $r (grep { $_->{body} ne 'NONE' && $_->{scope} ne 'PLATFORM' } @routes) {
        for my $text (grep { !/[\0\xff]/ } @sql) {
            my %o = options($r, $id{red});
            for my $member (sort keys %{ $o{body} }) {
                my %b = (%{ $o{body} }, $member => $text);
                my $a = ask($r->{method}, MCHost::Routes::path($r->{pattern}, %{ { names($r, nobody()) } }), %o, body => \%b);
                push @bad, "$r->{name} $member: " . $a->status if $a->status >= 500;
            }
        }
    }
    for my $text (grep { !/\0/ } @sql) {
        for my $header ('If-Match', 'If-None-Match', 'Idempotency-Key', 'X-Request-Id', 'Accept', 'Authorization', 'Cookie', 'Origin') {
            my $a = ask(POST => "/servers/$id{blue}{server}/actions/stop", headers => { $header => $text });
            push @bad, "$header: $text: " . $a->status if $a->status !~ /^4/;
        }
    }
    is_deeply(\@bad, [], 'none is taken as SQL');
    my $a = ask(POST => "/servers/$id{red}{server}/actions/stop", headers => { 'Idempotency-Key' => 'shared' });
    is($a->json->{id}, $id{red}{operation}, 'one Idempotency-Key of two tenants is two');
};

subtest 'a key with servers of its own' => sub {
    my $two = $t->server($red, 'open')->{id};
    my $key = $t->api(POST => '/keys', key => $red->{key}, body => { name => 'two', role => 'admin', servers => [$two] })->json->{secret};
    my %none = (%{ nobody() });
    for my $r (grep { $_->{pattern} =~ m{^servers/\{id\}} } @routes) {
        same_as_nothing($r, $id{red}, \%none, key => $key, secrets => $id{red});
    }
    for my $path ('/servers', '/events', '/audit', "/events?server=$id{red}{server}", "/audit?server=$id{red}{server}") {
        my $a = ask(GET => $path, key => $key);
        is($a->status, 200, $path);
        unlike($a->body, qr/$id{red}{server}|private4711/, '… without the other server');
    }
    is(ask(POST => '/messages', key => $key, body => { servers => [ $id{red}{server} ], topic => 'x', data => 1 })->status, 422, 'no message to it');
};

subtest 'operators and tenants' => sub {
    my $opid = uuid7();
    (my $op = (new_token($opid))[0]) =~ s/^mch/mcp/;
    $t->sql("INSERT INTO platform_keys (id, name, key_hash) VALUES ('$opid', 'x', '" . sha256_hex($op) . "')");
    for my $r (grep { $_->{scope} !~ /^(PLATFORM|PUBLIC|NOBODY)$/ } @routes) {
        my $a = ask($r->{method}, MCHost::Routes::path($r->{pattern}, names($r, $id{blue})), options($r, $id{blue}), key => $op);
        like($a->status, qr/^(401|403)$/, "$r->{name} with an operator's key") or diag $a->body;
    }
};

subtest 'sockets' => sub {
    my $ws = $t->ws(key => $red->{key});
    is($ws->ask({ op => 'subscribe', topics => [qw(status logs)], servers => ['*'], since => '0-0' })->{op}, 'ack', 'all that is to be seen');
    my $nothing = nobody();
    my @ops = (
        (map { my $topic = $_; sub { { op => 'subscribe', topics => [$topic], servers => [ $_[0] ] } } } qw(status logs)),
        sub { { op => 'subscribe', topics => ['logs'], servers => [ $id{red}{server}, $_[0] ], since => '0-0' } },
        sub { { op => 'command', server => $_[0], command => 'stop' } },
        (map { my $action = $_; sub { { op => 'action', server => $_[0], action => $action } } } qw(start stop restart)),
    );
    for my $op (@ops) {
        my ($a, $b) = map { my $m = $ws->ask($op->($_)); delete $m->{id}; $m } $id{blue}{server}, $nothing->{server};
        my $name = join ' ', map { ref $_ ? @$_ : $_ } grep { defined } @{ $op->('') }{qw(op topics action)};
        is($a->{code}, 'not_found', "a socket: $name") or diag explain $a;
        is_deeply($a, $b, '… as if there were none');
    }
    my $redis = $t->redis->client('reconciler');
    for my $who ([ $blue, $id{blue}, $mark ], [ $red, $id{red}, 'behind it' ]) {
        $redis->call('PUBLISH', "mchost:t:$who->[0]{id}:status", "1 $who->[1]{server} 9-0 2026-01-02T03:04:05Z {\"message\":\"$who->[2]\"}");
    }
    is($ws->ask({ op => 'subscribe', topics => ['status'], servers => ["$id{red}{server}' OR '1'='1"] })->{op}, 'error', 'SQL is no id');
    ok($ws->expect(sub { $_->{op} eq 'event' && ($_->{data}{message} // '') eq 'behind it' }), "what is published for one's own comes");
    my $seen = JSON::PP->new->canonical->encode([ $ws->drain ]);
    unlike($seen, qr/$mark|$id{blue}{server}|$blue->{id}/, 'nothing of the other tenant came');
    like($seen, qr/private4711/, "what is one's own did");
};

subtest 'nothing leaked, nothing changed' => sub {
    cmp_ok($asked, '>', 1000, "$asked requests");
    is_deeply([ @leaks > 20 ? @leaks[ 0 .. 19 ] : @leaks ], [], 'no mark and no id of the other tenant in any of the answers');
    is($t->sql($blues), $before, 'not a byte of the other tenant has changed');
    my @lines = grep { /$mark/ } split /\n/, slurp($t->nginx->{log});
    is_deeply([ grep { !/request: "[^"]*$mark/ } @lines ], [], 'no line of the log has the mark');
};

# -- The statements, without their conditions --

my ($fragment, @statements) = MCHost::Routes::statements(root);
my $theirs = qr/^(reconciler_|platform_|authenticate_platform$|tenant_(?!gate$))/;   # other roles'

# Conditions that name who asks are true, and what is written is blue's.
sub mutate {
    my ($text) = @_;

    my $kept = qr/tenant|key|member/;
    1 while $text =~ s/\{\{(?!$kept\}\})(\w+)\}\}/$fragment->{$1} \/\/ die "no fragment $1\n"/ge;
    my $n = 0;
    $n += $text =~ s/\b(?:\w+\.)?tenant_id = \{\{tenant\}\}/true/g;
    $n += $text =~ s/\b(?:\w+\.)?\w+_hash = nullif\(current_setting\('app\.key_hash', true\), ''\)/true/g;
    $n += $text =~ s/\b(?:\w+\.)?email = nullif\(current_setting\('app\.login', true\), ''\)/true/g;
    $n += $text =~ s/\b(?:\w+\.)?(?:id|key_id|member_id) = \{\{(?:key|member)\}\}/true/g;
    $n += $text =~ s/\bowner = coalesce\(\{\{key\}\}, \{\{member\}\}\)::text/true/g;
    $n += $text =~ s/\{\{tenant\}\}/'$blue->{id}'::uuid/g;
    $text =~ s/\{\{(\w+)\}\}/$fragment->{$1}/g;
    return ($text, $n);
}

my %value = (
    %{ { map { $_ => uuid7() } qw(audit_id operation_id) } },
    (map { $_ => $id{blue}{member} } qw(member_id)),
    ids => "{$id{blue}{server}}", servers => "{$id{blue}{server}}", scopes => undef,
    backup => $id{blue}{backup}, operation => $id{blue}{operation}, server => '', tenant => $blue->{id},
    name => 'walled', email => 'walled@example.com', role => 'viewer', minimum_role => 'viewer', scope => '', writes => 'true', purge => 'true',
    key_hash => $id{red}{hash}{key}, invite_hash => 'f' x 64, token_hash => 'e' x 64, ticket_hash => 'd' x 64, credential_hash => 'c' x 64,
    statement_timeout => '5000', request_id => 'walled', limit => '100', after => '', search => '', text => '', state => '',
    spec => '{"walled": true}', addon => '{"name": "walled"}', generation => '2', if_match_generation => '', memory => '1', cpu => '1', storage => '1',
    action => 'start', command => 'walled', list => 'op', verb => 'add', player => 'walled', topic => 'walled',
    from => '0', to => '99999999999', step => '86400', key => 'shared', fingerprint => 'b' x 64, answer => 'walled', expires_at => undef,
    password_hash => $mark, old_hash => $mark, new_hash => 'walled', totp_step => '99', step_ => '99', enabled => 'true', secret => 'walled',
    address => '', agent => '', kind => 'key', origin => '',
);
my %value_of = ('addon_get name' => $mark, 'addon_delete name' => $mark, 'totp_set step' => '99', 'server_access list' => 'op');

sub literal { my ($v) = @_; return 'NULL' unless defined $v; $v =~ s/'/''/g; return "'$v'" }

sub parameters {
    my ($s) = @_;

    return join ', ', map {
        my $key = "$s->{name} $_";
        my ($kind) = $s->{name} =~ /^(key|member|session)_/;
        literal($_ eq 'id' ? ($s->{name} =~ /_(create|invite)$/ && $s->{name} !~ /^addon/ ? uuid7() : $id{blue}{ $kind // 'server' })
            : exists $value_of{$key} ? $value_of{$key} : exists $value{$_} ? $value{$_} : die "$s->{name}: this test has no value for its parameter $_\n");
    } @{ $s->{params} };
}

# (what it said or the error, blue's digest behind it), in a transaction that is
# rolled back: as the API's role for a tenant, or without row-level security.
sub run_as {
    my ($s, $who, $tenant) = @_;

    my ($text) = mutate($s->{text});
    my %set = ('app.tenant_id' => $tenant, 'app.role' => 'owner', 'app.key_id' => $id{red}{key}, 'app.member_id' => '', 'app.session_id' => '',
        'app.key_hash' => $tenant ? $id{red}{hash}{key} : '', 'app.login' => '', 'app.servers' => '');
    my $sql = 'BEGIN; SELECT ' . join(', ', map { "set_config('$_', '$set{$_}', true)" } sort keys %set) . ";\n"
        . ($who ? "SET LOCAL SESSION AUTHORIZATION $who;\n" : '')
        . "SELECT 'begins'; PREPARE p AS $text;\nEXECUTE p" . (@{ $s->{params} } ? '(' . parameters($s) . ')' : '') . ";\nSELECT 'ends';\n"
        . ($who ? "RESET SESSION AUTHORIZATION;\n" : '') . "$blues; ROLLBACK";
    my $said = eval { $t->sql($sql) };
    return ($@, '') unless defined $said;
    my ($out, $digest) = $said =~ /begins\n(.*?)ends\n(\w+)\s*\z/s or die "$s->{name}: $said";
    return ($out, $digest);
}

subtest 'policies alone, statement by statement' => sub {
    my $of_blue = join '|', $mark, 471147, 472147, grep { !ref && $_ ne $blue->{id} } values %{ $id{blue} };
    my $now = $t->sql($blues);
    my $teeth = 0;
    my $n = 0;

    for my $s (grep { $_->{name} !~ $theirs } @statements) {
        my (undef, $mutated) = mutate($s->{text});
        my @params = eval { parameters($s) };
        ok(!$@, "$s->{name}: parameters") or do { diag $@; next };
        $n++;

        for my $tenant ($red->{id}, '') {
            my ($out, $digest) = run_as($s, 'mchost_api', $tenant);
            my $as = $tenant ? 'as red' : 'without a tenant';
            (my $seen = $out) =~ s/\Q$blue->{id}\E//g;       # written into the text by the mutation
            if ($digest) {
                unlike($seen, qr/$of_blue/, "$s->{name} $as: shows nothing of blue");
                is($digest, $now, '… and changes nothing');
            } else {
                like($out, qr/row-level security|permission denied|violates|invalid input value|cannot/, "$s->{name} $as: refused") or diag $out;
                unlike($out, qr/$mark/, '… and says nothing of blue');
            }
        }

        next unless $mutated;
        my ($out, $digest) = run_as($s, '', $red->{id});
        $teeth++ if $out =~ /$of_blue/ || $digest && $digest ne $now;
    }

    cmp_ok($n, '>', 50, "$n statements");
    cmp_ok($teeth, '>', 45, "$teeth of them show or change what is blue's when there are no policies");
};

done_testing;
