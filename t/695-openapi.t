# /openapi.json: every route is in it and nothing else; its schemas are those
# that the validator works by.

use lib 't/lib';
use MCHost::Test;

my $t = MCHost::Test->new;
my $red = $t->tenant('red');
my $r = $t->api(GET => '/openapi.json');
my $doc = $r->json;

subtest 'the document' => sub {
    is($r->status, 200, 'there, for everybody');
    is($r->header('Content-Type'), 'application/json', 'JSON');
    is($doc->{openapi}, '3.1.0', 'OpenAPI 3.1');
    is($doc->{servers}[0]{url}, '/api/v1', 'where');
};

subtest 'a public validator' => sub {
    my $validator = root() . '/build/schemathesis/bin/openapi-spec-validator';
    my $bad = $r->body =~ s/"openapi": ?"3.1.0",//r;
    -x $validator or die "$validator is not there: make test installs it\n";
    for ([ $r->body, 1, 'accepts it' ], [ $bad, '', 'refuses one that is broken' ]) {
        open my $f, '>', "$t->{dir}/openapi.json" or die $!;
        print $f $_->[0];
        close $f;
        my $said = `$validator $t->{dir}/openapi.json 2>&1`;
        is($? == 0, $_->[1], $_->[2]) or diag $said;
    }
};

subtest 'routes' => sub {
    my $table = slurp(root() . '/ngx_mchost_module/ngx_http_mchost_router.c');
    ($table) = $table =~ /ngx_http_mchost_routes\[\] = \{(.*?)\n\};/s;
    my %want;
    $want{"$1 /$2"} = 1 while $table =~ /\{ NGX_HTTP_(GET|POST|PUT|PATCH|DELETE), "([^"]*)"/g;
    my %got;
    for my $path (keys %{ $doc->{paths} }) {
        $got{ uc($_) . " $path" } = 1 for keys %{ $doc->{paths}{$path} };
    }
    cmp_ok(scalar keys %want, '>=', 40, 'the table');
    is_deeply([ sort keys %got ], [ sort keys %want ], 'every route is in it and nothing else');

    my %ids;
    for my $path (sort keys %{ $doc->{paths} }) {
        for my $method (sort keys %{ $doc->{paths}{$path} }) {
            my $op = $doc->{paths}{$path}{$method};
            $ids{ $op->{operationId} }++;
            my @names = $path =~ /\{([^}]+)\}/g;
            is_deeply([ map { $_->{name} } grep { $_->{in} eq 'path' } @{ $op->{parameters} } ], \@names, "$method $path: parameters of the path") if @names;
            ok($op->{responses}{401}, "$method $path: problems") if !$op->{security};
        }
    }
    is_deeply([ grep { $ids{$_} > 1 } keys %ids ], [], 'operation ids are unique');
};

subtest 'references' => sub {
    my @refs = $r->body =~ m{"\$ref": ?"#/([^"]+)"}g;
    cmp_ok(scalar @refs, '>', 50, 'references');
    my %bad;
    for (@refs) {
        my $v = $doc;
        $v = ref $v eq 'HASH' ? $v->{$_} : undef for split m{/};
        $bad{$_} = 1 unless $v;
    }
    is_deeply([ keys %bad ], [], 'all lead somewhere');
    unlike($r->body, qr/x-kubernetes|\[:cntrl:\]/, 'nothing that only Kubernetes or POSIX knows');
};

subtest 'the schemas are the validator\'s' => sub {
    my $s = $doc->{components}{schemas};
    my $key = $s->{KeyCreate};
    is_deeply($key->{required}, ['name'], 'required');
    is($t->api(POST => '/keys', key => $red->{key}, body => {})->json->{errors}[0]{code}, 'required', 'by both');
    is($t->api(POST => '/keys', key => $red->{key}, body => { name => 'x' x ($key->{properties}{name}{maxLength} + $_) })->status, $_ ? 422 : 201, "length +$_") for 0, 1;
    is($s->{Server}{properties}{spec}{properties}{properties}{properties}{maxPlayers}{type}, 'integer', 'the server document');
};

done_testing;
