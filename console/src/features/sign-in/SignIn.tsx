import { Button, PasswordInput, TextInput } from '@mantine/core';
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { useNavigate } from '@tanstack/react-router';
import { type FormEvent, useState } from 'react';
import { ApiError, body, client } from '../../api/client';
import { keys } from '../../api/live';
import { about } from '../../api/queries';
import { Simulated } from '../../shared/status';
import { explain } from '../../shared/Trouble';
import { texts } from '../../shared/texts';
import { Words } from '../../shared/Words';
import { Door } from './Door';
import styles from './Door.module.css';

function problem(error: unknown, wrong: string): string {
  if (error instanceof ApiError) {
    if (error.status === 401) return wrong;
    if (error.status === 429) return texts.signIn.slow(error.retryAfter ?? 1);
  }
  const { title, what } = explain(error);
  return `${title}. ${what}`;
}

export function SignIn() {
  const cache = useQueryClient();
  const navigate = useNavigate();
  const site = useQuery(about);
  const [byToken, setByToken] = useState(false);
  const enter = useMutation({
    mutationFn: (form: FormData) => {
      const text = (name: string) => String(form.get(name) ?? '');
      return byToken
        ? body(client.POST('/api/sign-in/token', { body: { token: text('token').trim() } }))
        : body(
            client.POST('/api/sign-in', {
              body: { name: text('name').trim(), password: text('password') },
            }),
          );
    },
    meta: { told: true },
    onSuccess: async (who) => {
      cache.setQueryData(keys.me, who);
      await navigate({ to: '/network', replace: true });
    },
  });

  function submit(event: FormEvent<HTMLFormElement>) {
    event.preventDefault();
    enter.mutate(new FormData(event.currentTarget));
  }

  if (site.error) {
    const { title, what } = explain(site.error);
    return (
      <Door title={title} lead="">
        <p>
          <Words>{what}</Words>
        </p>
        <Button variant="default" onClick={() => void site.refetch()}>
          {texts.again}
        </Button>
      </Door>
    );
  }
  if (!site.data) return null;
  return (
    <Door title={texts.signIn.title(site.data.site)} lead={texts.signIn.lead}>
      <form className={styles.form} onSubmit={submit}>
        {site.data.first_operator && (
          <p className={styles.notice}>
            <Words>{texts.signIn.first}</Words>
          </p>
        )}
        {byToken ? (
          <PasswordInput
            key="token"
            name="token"
            label={texts.signIn.token}
            description={<Words>{texts.signIn.tokenHint}</Words>}
            autoComplete="off"
            required
          />
        ) : (
          <>
            <TextInput
              name="name"
              label={texts.signIn.name}
              autoComplete="username"
              autoCapitalize="none"
              spellCheck={false}
              required
            />
            <PasswordInput
              name="password"
              label={texts.signIn.password}
              autoComplete="current-password"
              required
            />
          </>
        )}
        <p role="alert" className={styles.problem} hidden={!enter.error}>
          {enter.error &&
            problem(enter.error, byToken ? texts.signIn.wrongToken : texts.signIn.wrong)}
        </p>
        <Button type="submit" size="md" loading={enter.isPending}>
          {texts.signIn.submit}
        </Button>
        <Button
          variant="transparent"
          size="compact-sm"
          className={styles.other ?? ''}
          onClick={() => {
            enter.reset();
            setByToken(!byToken);
          }}
        >
          {byToken ? texts.signIn.byPassword : texts.signIn.byToken}
        </Button>
        {site.data.lab && (
          <span className={styles.other}>
            <Simulated />
          </span>
        )}
      </form>
    </Door>
  );
}
