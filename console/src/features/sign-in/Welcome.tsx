import { Button, PasswordInput } from '@mantine/core';
import { useMutation, useQueryClient } from '@tanstack/react-query';
import { useNavigate } from '@tanstack/react-router';
import { type FormEvent, useEffect, useState } from 'react';
import { ApiError, body, client } from '../../api/client';
import { keys } from '../../api/live';
import { explain } from '../../shared/Trouble';
import { texts } from '../../shared/texts';
import { Door } from './Door';
import styles from './Door.module.css';

const SHORTEST = 12;

/** The one-time link: its code is taken out of the address at once, and used by the form alone. */
export function Welcome({ code: shown }: { code: string | undefined }) {
  const cache = useQueryClient();
  const navigate = useNavigate();
  const [wrong, setWrong] = useState<{ first?: string; second?: string }>({});
  const [code] = useState(shown ?? '');
  useEffect(() => {
    if (shown !== undefined)
      void navigate({ to: '/welcome/{-$code}', params: { code: undefined }, replace: true });
  }, [shown, navigate]);
  const enter = useMutation({
    mutationFn: (password: string) =>
      body(client.POST('/api/sign-in/link', { body: { code, password } })),
    meta: { told: true },
    onSuccess: async (who) => {
      cache.setQueryData(keys.me, who);
      void cache.invalidateQueries({ queryKey: keys.about });
      await navigate({ to: '/network', replace: true });
    },
  });

  function submit(event: FormEvent<HTMLFormElement>) {
    event.preventDefault();
    const form = new FormData(event.currentTarget);
    const [first, second] = [String(form.get('first')), String(form.get('second'))];
    const found = {
      ...(new TextEncoder().encode(first).length < SHORTEST ? { first: texts.welcome.short } : {}),
      ...(first === second ? {} : { second: texts.welcome.different }),
    };
    setWrong(found);
    if (Object.keys(found).length === 0) enter.mutate(first);
  }

  const gone = enter.error instanceof ApiError && [401, 403, 404].includes(enter.error.status);
  const { title, what } = explain(enter.error);
  return (
    <Door title={texts.welcome.title} lead={texts.welcome.lead}>
      <form className={styles.form} onSubmit={submit}>
        <PasswordInput
          name="first"
          label={texts.welcome.password}
          description={texts.welcome.rule}
          error={wrong.first}
          autoComplete="new-password"
          required
        />
        <PasswordInput
          name="second"
          label={texts.welcome.repeat}
          error={wrong.second}
          autoComplete="new-password"
          required
        />
        <p role="alert" className={styles.problem} hidden={!enter.error}>
          {enter.error && (gone ? texts.welcome.used : `${title}. ${what}`)}
        </p>
        <Button type="submit" size="md" loading={enter.isPending}>
          {texts.welcome.submit}
        </Button>
        <Button
          variant="transparent"
          size="compact-sm"
          className={styles.other ?? ''}
          onClick={() => void navigate({ to: '/sign-in', replace: true })}
        >
          {texts.welcome.toSignIn}
        </Button>
      </form>
    </Door>
  );
}
